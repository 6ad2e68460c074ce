// An echo server on npm ws: node ws_server.mjs PORT, with NODE_PATH or a node_modules beside.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  maxPayload: 0,
  maxFragments: 0,
  maxBufferedChunks: 0,
  perMessageDeflate: true,
});
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
