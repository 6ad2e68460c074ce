// The Node counterparts of examples/net_*.py: `node net_peers.mjs ROLE OPTIONS`, where ROLE is
// server, client, http-server or http-client, and OPTIONS is what listen or createConnection take.
import http from "node:http";
import net from "node:net";

const [role, text] = process.argv.slice(2);
const options = JSON.parse(text);

// Not by `for await`, which destroys the socket at its end.
function collect(socket) {
    return new Promise((resolve, reject) => {
        const pieces = [];
        socket.on("data", (piece) => pieces.push(piece));
        socket.on("end", () => resolve(Buffer.concat(pieces).toString()));
        socket.on("error", reject);
    });
}

function announce(server) {
    server.listen(options, () => {
        const address = server.address();
        console.log("listening on", typeof address === "string" ? address : address.port);
    });
}

const roles = {
    server() {
        announce(
            net.createServer({ allowHalfOpen: true }, async (socket) => {
                console.log("received", await collect(socket));
                socket.end("response data");
            }),
        );
    },
    async client() {
        const socket = net.createConnection({ ...options, allowHalfOpen: true });
        socket.end("request data");
        console.log(await collect(socket));
    },
    // Reads late.
    async patient() {
        const socket = net.createConnection({ ...options, allowHalfOpen: true });
        socket.pause();
        socket.once("connect", () => setTimeout(() => socket.resume(), 300));
        console.log((await collect(socket)).length);
        socket.end();
    },
    // Come and go, each in its own way: with and without having said something, ending, breaking off.
    async fickle() {
        const leaving = ["end", "destroy", "resetAndDestroy", "destroySoon"];
        await Promise.all(
            Array.from({ length: 48 }, async (_, i) => {
                const socket = net.createConnection(options);
                await new Promise((resolve) => socket.once("connect", resolve));
                if (i % 3) await new Promise((resolve) => socket.write("x".repeat(i), resolve));
                socket.on("error", () => {});
                // A UNIX socket knows no reset.
                socket[options.path && i % 4 === 2 ? "destroy" : leaving[i % 4]]();
            }),
        );
    },
    // Come at the same time, and are answered.
    async crowd() {
        const replies = Array.from({ length: 200 }, () =>
            collect(net.createConnection({ ...options, allowHalfOpen: true }).end("request data")),
        );
        console.log(new Set(await Promise.all(replies)));
    },
    "http-server"() {
        announce(
            http.createServer((request, response) => {
                response.end(`${request.method} ${request.url} for ${request.headers.host}`);
            }),
        );
    },
    async "http-client"() {
        const target = options.path ? { socketPath: options.path } : options;
        http.get({ ...target, path: "/" }, async (response) => {
            console.log(response.statusCode, await collect(response));
        });
    },
};

await roles[role]();
