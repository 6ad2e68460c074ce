// A server on Node's net. Its arguments are the options of server.listen, as JSON, and what it does
// with a connection. Says on a line of standard output where it listens.
import net from "node:net";

const [options, action] = [JSON.parse(process.argv[2]), process.argv[3]];
const actions = {
    // Sends back what comes, and ends when the client did.
    echo: (socket) => socket.pipe(socket),
    // Takes all of it until the client ends its side, says how much it was, and ends.
    count: (socket) => {
        let length = 0;
        socket.on("data", (data) => (length += data.length));
        socket.on("end", () => socket.end(`${length} bytes\n`));
    },
    // Resets the connection at the first of many bytes. On a UNIX socket that is to close it while
    // there is more to read.
    reset: (socket) =>
        socket.once("data", () => (options.path ? socket.destroy() : socket.resetAndDestroy())),
    // Takes everything, and never says anything.
    silence: (socket) => socket.resume(),
};
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    actions[action](socket);
});
server.listen(options, () => console.log("listening", JSON.stringify(server.address())));
