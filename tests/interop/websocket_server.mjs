// An echo server on npm's ws. Listens as told, writes a line when it does, closes each connection
// with the code that a text message "close CODE" has.
import { WebSocketServer } from "ws";
import http from "node:http";
import https from "node:https";

const { listen, tls } = JSON.parse(process.argv[2]);
const server = tls ? https.createServer(tls) : http.createServer();
const sockets = new WebSocketServer({
    server,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has("two") ? "two" : false),
});
sockets.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
        const text = isBinary ? "" : String(data);
        if (text.startsWith("close ")) {
            socket.close(Number(text.slice(6)), "as asked");
        } else {
            socket.send(data, { binary: isBinary });
        }
    });
});
server.listen(listen, () => {
    const address = server.address();
    console.log(`listens on ${typeof address === "string" ? address : address.port}`);
});
