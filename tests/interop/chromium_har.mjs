// Runs a script in a page of Chromium, and writes the HTTP Archive that its developer tools make of it.
//
//     node chromium_har.mjs CHROMIUM PROFILE SCRIPT
//
// The archive is made by the code of the developer tools themselves, which run as another page.

import { spawn } from "node:child_process";
import WebSocket from "ws";

const [, , chromium, profile, script] = process.argv;

const browser = spawn(chromium, [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-proxy-server", "--remote-debugging-port=0", "--remote-allow-origins=*",
    `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "pipe"] });

const address = await new Promise((resolve, reject) => {
    let said = "";
    browser.stderr.on("data", (data) => {
        said += data;
        const found = /DevTools listening on ws:\/\/(\S+?)(\/\S+)/.exec(said);
        if (found) resolve({ host: found[1], path: found[2] });
    });
    browser.on("exit", () => reject(new Error(said)));
});

const connection = new WebSocket(`ws://${address.host}${address.path}`, { perMessageDeflate: false });
await new Promise((resolve) => connection.on("open", resolve));
const waiting = new Map();
connection.on("message", (data) => {
    const message = JSON.parse(data);
    waiting.get(message.id)?.(message);
});

let last = 0;
async function command(method, params = {}, sessionId = undefined) {
    const id = ++last;
    const answered = new Promise((resolve) => waiting.set(id, resolve));
    connection.send(JSON.stringify({ id, method, params, sessionId }));
    const { result, error } = await answered;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
}

async function open(url) {
    const { targetId } = await command("Target.createTarget", { url });
    const { sessionId } = await command("Target.attachToTarget", { targetId, flatten: true });
    return { targetId, sessionId };
}

async function evaluate(page, expression) {
    const { result, exceptionDetails } = await command(
        "Runtime.evaluate",
        { expression: `(async () => { ${expression} })()`, awaitPromise: true, returnByValue: true },
        page.sessionId,
    );
    if (exceptionDetails) {
        throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
}

try {
    const page = await open("about:blank");
    const tools = await open(
        `http://${address.host}/devtools/devtools_app.html?ws=${address.host}/devtools/page/${page.targetId}`,
    );
    // A new page is empty at first.
    const loaded = `return location.pathname.startsWith("/devtools/") && document.readyState === "complete"`;
    while (!(await evaluate(tools, loaded).catch(() => false)));
    // They record from when they have begun.
    await evaluate(tools, `
        globalThis.Logs = await import("/devtools/models/logs/logs.js");
        globalThis.HAR = await import("/devtools/models/har/har.js");
    `);
    const recorded = "return Logs.NetworkLog.NetworkLog.instance().requests().length";
    do await evaluate(page, `await fetch("data:,")`); while (!(await evaluate(tools, recorded)));
    await evaluate(page, script);
    const archive = await evaluate(tools, `
        const all = () => Logs.NetworkLog.NetworkLog.instance().requests();
        // They learn of the last one after the page is done with it.
        for (let times = 0; times < 100 && !all().some((each) => each.url().startsWith("ws:")); times++)
            await new Promise((resolve) => setTimeout(resolve, 50));
        const requests = all().filter((request) => !request.url().startsWith("data:"));
        while (requests.some((request) => !request.finished && !request.failed))
            await new Promise((resolve) => setTimeout(resolve, 50));
        return JSON.stringify(await HAR.Log.Log.build(requests, { sanitize: false }));
    `);
    process.stdout.write(archive);
} finally {
    browser.removeAllListeners("exit");
    browser.kill();
    connection.terminate();
}
