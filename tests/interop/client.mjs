// A client on Node's net: sends standard input, ends its side, writes what comes back to standard
// output. Ends with status 0 when the server ended its side as well, and 1 on any error.
import net from "node:net";
import { pipeline } from "node:stream/promises";

const options = { ...JSON.parse(process.argv[2]), allowHalfOpen: true };
const socket = net.createConnection(options);
try {
    await Promise.all([
        pipeline(process.stdin, socket, { end: true }),
        pipeline(socket, process.stdout, { end: false }),
    ]);
} catch (error) {
    console.error(String(error));
    process.exitCode = 1;
}
