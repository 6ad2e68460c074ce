// A client on npm's ws: sends messages of every kind, sees that each comes back as it was, pings,
// closes. Writes what it saw to standard output, as JSON.
import WebSocket from "ws";
import { once } from "node:events";

const { url, perMessageDeflate, ca } = JSON.parse(process.argv[2]);
const socket = new WebSocket(url, ["none", "two"], { perMessageDeflate, ca });
socket.on("error", (error) => {
    console.error(String(error));
    process.exit(1);
});
await once(socket, "open");

async function echoes(expected, isText) {
    const [data, isBinary] = await once(socket, "message");
    return isBinary === !isText && Buffer.compare(data, Buffer.from(expected)) === 0 ? 1 : 0;
}

let echoed = 0;
const bytes = Buffer.alloc(2 ** 20, "netkit");
for (const message of ["", "zwölf € 🚀", "x".repeat(70000), Buffer.alloc(0), bytes]) {
    socket.send(message);
    echoed += await echoes(message, typeof message === "string");
}

// One message in three fragments.
socket.send("one ", { fin: false });
socket.send("message ", { fin: false });
socket.send("in parts", { fin: true });
echoed += await echoes("one message in parts", true);

socket.ping("are you there?");
const [pong] = await once(socket, "pong");
socket.close(4711, "enough");
const [close] = await once(socket, "close");
const { protocol: subprotocol, extensions } = socket;
console.log(JSON.stringify({ subprotocol, extensions, echoed, pong: String(pong), close }));
