// What Node's net does, row by row of docs/net.md: `node net_rows.mjs FOLDER` prints for each row
// that can be compared what came out, as JSON. FOLDER is for UNIX sockets.
import fs from "node:fs";
import net from "node:net";
import { once } from "node:events";

const folder = process.argv[2];
const LOCAL = { host: "127.0.0.1", port: 0 };

async function listen(server, options = LOCAL) {
    server.on("error", () => {});
    server.listen(options);
    await once(server, "listening");
    return options.path ?? server.address().port;
}

async function collect(socket) {
    let text = "";
    socket.on("data", (piece) => (text += piece));
    await once(socket, "end");
    return text;
}

// A client and the server's end of its connection.
async function pair(clientOptions = {}, serverOptions = {}, path = undefined) {
    const server = net.createServer({ allowHalfOpen: true, ...serverOptions });
    const port = await listen(server, path ? { path } : LOCAL);
    const target = path ? { path } : { host: "127.0.0.1", port };
    const client = net.connect({ ...target, ...clientOptions });
    client.on("error", () => {});
    const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
    accepted.on("error", () => {});
    return { server, client, accepted };
}

const failed = (emitter) => new Promise((resolve) => emitter.once("error", (e) => resolve(e.code)));

const rows = {
    async "The module: net.createServer([options][, listener])"() {
        const server = net.createServer((socket) => socket.pipe(socket));
        const client = net.connect(await listen(server), "127.0.0.1");
        client.end("hello");
        return collect(client);
    },
    async "The module: net.createConnection()"() {
        const { client } = await pair();
        return [client.readyState, await failed(net.connect(1, "127.0.0.1"))];
    },
    async "The module: blockList.addAddress(address)"() {
        const list = new net.BlockList();
        list.addAddress("10.1.2.3");
        list.addSubnet("192.168.0.0", 16);
        list.addSubnet("2001:db8::", 32, "ipv6");
        return [
            "10.1.2.3", "10.1.2.4", "192.168.200.1", "192.169.0.1",
            "::ffff:10.1.2.3", "::ffff:192.168.0.1", "2001:db8::1", "2001:db9::1",
        ].map((address) => list.check(address, net.isIPv6(address) ? "ipv6" : "ipv4"));
    },
    async "The module: blockList.addRange(start, end)"() {
        const list = new net.BlockList();
        list.addRange("10.0.0.3", "10.0.0.9");
        return ["10.0.0.2", "10.0.0.3", "10.0.0.9", "10.0.0.10"].map((each) => list.check(each));
    },
    async "The module: blockList.check(address)"() {
        const list = new net.BlockList();
        list.addSubnet("10.0.0.0", 8);
        return [list.check("10.9.9.9"), list.check("11.0.0.1")];
    },
    async "The module: socketAddress.address"() {
        const made = new net.SocketAddress({ address: "::1", port: 80, family: "ipv6" });
        return [made.address, made.port, made.family];
    },
    async "The module: socketAddress.flowlabel"() {
        return new net.SocketAddress({ address: "::1", family: "ipv6", flowlabel: 7 }).flowlabel;
    },
    async "The module: net.isIP(text)"() {
        return ["1.2.3.4", "::1", "::1%lo", "::ffff:1.2.3.4", "01.2.3.4", "1.2.3", "1.2.3.256", "::g", "", "a"]
            .map((text) => [net.isIPv4(text), net.isIPv6(text)]);
    },
    async "The module: net.getDefaultAutoSelectFamily()"() {
        const server = net.createServer((socket) => socket.end("here"));
        return [net.getDefaultAutoSelectFamily(), await collect(net.connect(await listen(server), "localhost"))];
    },
    async "Options: allowHalfOpen"() {
        const outcomes = [];
        for (const allowHalfOpen of [true, false]) {
            const { client, accepted } = await pair({ allowHalfOpen: true }, { allowHalfOpen });
            accepted.resume();
            client.end();
            await once(accepted, "end");
            // Whoever comes later than the end.
            await new Promise(setImmediate);
            const answered = collect(client);
            const written = accepted.writable;
            if (written) accepted.end("answer");
            outcomes.push([written, await answered]);
        }
        return outcomes;
    },
    async "Options: pauseOnConnect"() {
        const { client, accepted } = await pair({}, { pauseOnConnect: true });
        client.end("hello");
        await new Promise((resolve) => setTimeout(resolve, 10));
        accepted.resume();
        return collect(accepted);
    },
    async "Options: host"() {
        const server = net.createServer((socket) => socket.end("here"));
        const path = `${folder}/host`;
        await listen(server, { path });
        return collect(net.connect({ path }));
    },
    async "Options: readableAll"() {
        const path = `${folder}/all`;
        await listen(net.createServer(), { path, readableAll: true, writableAll: true });
        return fs.statSync(path).mode & 0o666;
    },
    async "Options: localAddress"() {
        return (await pair({ localAddress: "127.0.0.2" })).accepted.remoteAddress;
    },
    async "Options: onread"() {
        const { client, accepted } = await pair({ onread: { buffer: Buffer.alloc(100), callback: () => true } });
        accepted.end("hello");
        await once(client, "end");
        return client.bytesRead;
    },
    async "Options: signal"() {
        const controller = new AbortController();
        const socket = net.connect({ host: "127.0.0.1", port: 1, signal: controller.signal });
        controller.abort();
        const code = await failed(socket);
        const stopping = new AbortController();
        const server = net.createServer();
        server.listen({ ...LOCAL, signal: stopping.signal });
        await once(server, "listening");
        stopping.abort();
        await once(server, "close");
        return [code, server.listening];
    },
    async "net.Server: server.address()"() {
        const server = net.createServer();
        const port = await listen(server);
        const { address, family } = server.address();
        const unix = net.createServer();
        await listen(unix, { path: `${folder}/address` });
        return [address, family, server.address().port === port, unix.address() === `${folder}/address`, net.createServer().address()];
    },
    async "net.Server: server.close([callback])"() {
        const { server, client, accepted } = await pair();
        const closed = new Promise((resolve) => server.close(resolve));
        const refused = await failed(net.connect(client.remotePort, "127.0.0.1"));
        accepted.resume().end();
        client.resume().end();
        await closed;
        return [refused, accepted.destroyed];
    },
    async "net.Server: server.getConnections(callback)"() {
        const { server, client, accepted } = await pair();
        const count = () => new Promise((resolve) => server.getConnections((_, n) => resolve(n)));
        const before = await count();
        accepted.resume().end();
        client.destroy();
        server.close();
        await once(server, "close");
        return [before, await count()];
    },
    async "net.Server: server.listening"() {
        const server = net.createServer();
        const states = [server.listening];
        await listen(server);
        states.push(server.listening);
        server.close();
        states.push(server.listening);
        return states;
    },
    async "net.Server: server.maxConnections"() {
        const { server, client } = await pair();
        server.maxConnections = 1;
        const second = net.connect(client.remotePort, "127.0.0.1");
        second.on("error", () => {}).resume();
        await once(second, "close");
        server.maxConnections = 2;
        net.connect(client.remotePort, "127.0.0.1");
        await once(server, "connection");
        return [second.bytesRead, client.readyState];
    },
    async "net.Server: 'error'"() {
        const server = net.createServer();
        const port = await listen(server);
        const other = net.createServer();
        other.listen(port, "127.0.0.1");
        return failed(other);
    },
    async "net.Server: 'drop'"() {
        const { server, client } = await pair();
        server.maxConnections = 1;
        const second = net.connect(client.remotePort, "127.0.0.1");
        second.on("error", () => {});
        const [{ remotePort }] = await once(server, "drop");
        return remotePort === second.localPort || second.localPort === undefined;
    },
    async "net.Socket: socket.write(data[, encoding][, callback])"() {
        const { client, accepted } = await pair();
        const text = collect(client);
        await new Promise((resolve) => accepted.write("one ", resolve));
        accepted.end("two");
        return text;
    },
    async "net.Socket: socket.end([data][, callback])"() {
        const { client, accepted } = await pair({ allowHalfOpen: true });
        client.end("request");
        const asked = await collect(accepted);
        accepted.end("response");
        const answered = await collect(client);
        const other = (await pair()).client.end();
        const late = await new Promise((resolve) => other.write("late", (e) => resolve(e.code)));
        return [asked, answered, late];
    },
    async "net.Socket: socket.destroy([error])"() {
        const { client } = await pair();
        const error = failed(client);
        client.destroy(Object.assign(new Error(), { code: "MINE" }));
        return [client.destroyed, await error];
    },
    async "net.Socket: socket.destroySoon()"() {
        const { client, accepted } = await pair();
        accepted.write("x".repeat(300000));
        accepted.destroySoon();
        return (await collect(client)).length;
    },
    async "net.Socket: socket.resetAndDestroy()"() {
        const { client, accepted } = await pair();
        const error = failed(client);
        accepted.resetAndDestroy();
        return error;
    },
    async "net.Socket: socket.read([size])"() {
        const { client, accepted } = await pair();
        accepted.end("abcdef");
        await once(client, "readable");
        while (client.readableLength < 6) await new Promise(setImmediate);
        return [String(client.read(2)), String(client.read(4)), client.read()];
    },
    async "net.Socket: for await (const data of socket)"() {
        const { client, accepted } = await pair();
        accepted.end("hello");
        let text = "";
        for await (const piece of client) text += piece;
        return text;
    },
    async "net.Socket: socket.pipe(other)"() {
        const left = await pair();
        const right = await pair({ allowHalfOpen: true }, {});
        left.accepted.pipe(right.client, { end: false });
        left.client.end("first ");
        await once(left.accepted, "end");
        right.client.end("second");
        return collect(right.accepted);
    },
    async "net.Socket: a.pipe(b); b.pipe(a)"() {
        const left = await pair({ allowHalfOpen: true });
        const right = await pair({ allowHalfOpen: true });
        left.accepted.pipe(right.client);
        right.client.pipe(left.accepted);
        left.client.end("question");
        const asked = await collect(right.accepted);
        right.accepted.end("answer");
        return [asked, await collect(left.client)];
    },
    async "net.Socket: socket.unpipe(other)"() {
        const left = await pair();
        const right = await pair();
        left.accepted.pipe(right.client);
        left.client.write("one");
        await once(right.accepted, "data");
        left.accepted.unpipe(right.client).resume();
        left.client.end("two");
        return collect(left.accepted);
    },
    async "net.Socket: socket.pause()"() {
        const { client, accepted } = await pair();
        let text = "";
        client.on("data", (piece) => (text += piece));
        client.pause();
        accepted.end("hello");
        await new Promise((resolve) => setTimeout(resolve, 10));
        const before = text;
        client.resume();
        await once(client, "end");
        return [before, text];
    },
    async "net.Socket: socket.setEncoding()"() {
        const { client, accepted } = await pair();
        client.setEncoding("utf8");
        accepted.setNoDelay();
        accepted.write(Buffer.from([0xe2, 0x82]));
        setTimeout(() => accepted.end(Buffer.from([0xac])), 10);
        return collect(client);
    },
    async "net.Socket: socket.setTimeout(timeout[, callback])"() {
        const { client } = await pair();
        return new Promise((resolve) => client.setTimeout(20, () => resolve(client.destroyed)));
    },
    async "net.Socket: socket.address()"() {
        const { client } = await pair();
        const { address, family, port } = client.address();
        return [address, family, port === client.localPort];
    },
    async "net.Socket: socket.localAddress"() {
        const { client, accepted } = await pair();
        return [accepted.localAddress, accepted.localFamily, accepted.localPort === client.remotePort];
    },
    async "net.Socket: socket.remoteAddress"() {
        const { client, accepted } = await pair();
        return [accepted.remoteAddress, accepted.remoteFamily, accepted.remotePort === client.localPort];
    },
    async "net.Socket: socket.bytesRead"() {
        const { client, accepted } = await pair();
        client.end("hello");
        await collect(accepted);
        return [accepted.bytesRead, client.bytesWritten, accepted.bytesWritten];
    },
    async "net.Socket: socket.readableLength"() {
        const { client, accepted } = await pair();
        accepted.write("hello");
        await once(client, "readable");
        const before = client.readableLength;
        client.read();
        return [before, client.readableLength];
    },
    async "net.Socket: socket.connecting"() {
        const { client } = await pair();
        return [client.connecting, client.pending];
    },
    async "net.Socket: socket.destroyed"() {
        const { client } = await pair();
        const before = client.destroyed;
        client.destroy();
        return [before, client.destroyed];
    },
    async "net.Socket: 'data'"() {
        const { client, accepted } = await pair();
        accepted.write("hello");
        return String((await once(client, "data"))[0]);
    },
    async "net.Socket: 'end'"() {
        const { client, accepted } = await pair();
        accepted.end();
        return collect(client);
    },
    async "net.Socket: 'drain'"() {
        const { client, accepted } = await pair();
        const room = client.write(Buffer.alloc(8_000_000));
        accepted.resume();
        await once(client, "drain");
        return [room, client.writableLength];
    },
    async "net.Socket: 'error'"() {
        const { client, accepted } = await pair();
        const error = failed(client);
        accepted.resetAndDestroy();
        return error;
    },
    async "net.Socket: 'close'"() {
        const { client, accepted } = await pair();
        accepted.resume().end();
        client.resume().end();
        return [(await once(client, "close"))[0]];
    },
};

// A row that never ends is the one that says so.
const late = () => new Promise((resolve) => setTimeout(resolve, 10_000, "never ended"));

const results = await Promise.all(
    Object.entries(rows).map(async ([name, row]) => {
        try {
            return [name, await Promise.race([row(), late()])];
        } catch (error) {
            return [name, String(error)];
        }
    }),
);
process.stdout.write(JSON.stringify(Object.fromEntries(results)), () => process.exit());
