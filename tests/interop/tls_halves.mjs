// Node's tls with halves that end one by one: `client PORT CA` sends its input, ends its half and
// prints the answer; `server CERT KEY` answers what a client sent when it has ended.
import { readFileSync } from "node:fs";
import { pipeline } from "node:stream";
import tls from "node:tls";

const [mode, first, second] = process.argv.slice(2);

if (mode === "client") {
  const socket = tls.connect({ host: "127.0.0.1", port: Number(first), ca: readFileSync(second), allowHalfOpen: true });
  socket.on("error", (error) => { console.error(error.message); process.exitCode = 1; });
  pipeline(process.stdin, socket, () => {});
  socket.pipe(process.stdout);
} else {
  const server = tls.createServer({ cert: readFileSync(first), key: readFileSync(second), allowHalfOpen: true }, (socket) => {
    const pieces = [];
    socket.on("error", (error) => console.log(error.message));
    socket.on("data", (piece) => pieces.push(piece));
    socket.on("end", () => socket.end(Buffer.concat(pieces)));
  });
  server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
}
