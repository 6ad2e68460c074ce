// What the inspector's page costs a browser: node benchmarks/inspector.mjs [EVENTS_A_SECOND [SECONDS]].
// It serves the page itself, feeds it, and says how long rows take from their event to the screen (the lag), how
// many frames there are a second, how long a key of the filter takes with 200,000 rows, and how large the heap is.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(here, "../tests/interop/"));
const puppeteer = require("puppeteer-core");
const { WebSocketServer } = require("ws");
const [rate, seconds] = [Number(process.argv[2] ?? 5000), Number(process.argv[3] ?? 60)];
const folder = join(here, "../netkit/inspector/static");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const BATCH = 50;

const ring = { limit: 1, used: 1, events: 0, octets: 0, evicted: { events: 0, octets: 0, connections: 0 }, connections: 0, open: 0 };
const server = createServer((request, response) => {
  if (/^\/api([/?]|$)/.test(request.url)) {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ name: "netkit", version: "0", ring, services: [], types: [] }));
    return;
  }
  const name = request.url === "/" ? "index.html" : request.url.slice(1).split("?")[0];
  try {
    response.setHeader("Content-Type", types[extname(name)] ?? "text/plain");
    response.end(readFileSync(join(folder, name)));
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

let number = 0;
const row = (started) => ({
  id: `${++number}.0`, number, sequence: number, connection: number, type: "http", service: "http", role: "server",
  peer: `127.0.0.1:${20000 + (number % 40000)}`, host: "127.0.0.1:3202", tls: null, started, ended: started + 0.0005, duration: 0.0005,
  state: "done", method: number % 3 ? "GET" : "POST", target: `/api/things/${number}?page=${number % 17}`, version: "HTTP/1.1",
  status: number % 50 ? 200 : 503, reason: "OK", mime: "application/json", requestLength: 120, responseLength: 512,
  timings: { send: 0.0001, wait: 0.0003, receive: 0.0001 }, messages: 0, closeCode: null, closeReason: null, how: null, wrong: "", notes: 0,
  marks: number % 50 ? [] : ["error"], startGone: false, again: null,
});
const waiting = [];
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.send(JSON.stringify({ type: "hello", session: "benchmark", sequence: 0, resumed: true, readOnly: false }));
  const feed = () => {
    if (waiting.length) {
      const rows = waiting.splice(0, 2000);
      socket.send(JSON.stringify({ type: "rows", sequence: rows.at(-1).sequence, rows, skipped: 0, behind: waiting.length, events: rows.at(-1).number }));
    }
  };
  const timer = setInterval(feed, BATCH);
  socket.on("close", () => clearInterval(timer));
});

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server", "--enable-precise-memory-info"],
});
const address = `http://127.0.0.1:${server.address().port}/`;
// How long a page takes to show something: the first one of a browser that has just begun itself, and others after it,
// which have nothing of it in a cache either.
const firstPaint = async (page) => {
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("state").textContent === "live");
  return page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
};
const opened = async () => {
  const page = await browser.newPage();
  await page.setViewport({ width: 1440, height: 900 });
  await page.setCacheEnabled(false);
  return page;
};
const paints = [];
for (let count = 0; count < 8; count++) {
  const page = await opened();
  paints.push(await firstPaint(page));
  await page.close();
}
const [cold, ...warm] = paints;
warm.sort((one, other) => one - other);
console.log(`first paint ${warm[3].toFixed(0)} ms, median of ${warm.length}; ${cold.toFixed(0)} ms in a browser that has just begun`);

const page = await opened();
await page.evaluateOnNewDocument(() => {
  globalThis.lags = [];
  globalThis.frames = [];
  addEventListener("netkit:drawn", (event) => globalThis.lags.push(Date.now() - event.detail.newest * 1000));
  const frame = (now) => {
    globalThis.frames.push(now);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
});
page.on("pageerror", (error) => console.log(error.message));
page.on("console", (message) => message.type() === "error" && console.log(message.text()));
await firstPaint(page);

// Processor time of the page's thread: what other programs do beside has no part in it.
const devtools = await page.createCDPSession();
await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
const spent = async () => Object.fromEntries((await devtools.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
const before = await spent();
const begun = Date.now();
let made = 0;
await new Promise((resolve) => {
  const timer = setInterval(() => {
    const due = Math.min(rate * seconds, Math.floor(((Date.now() - begun) / 1000) * rate));
    const now = Date.now() / 1000;
    while (made < due) {
      waiting.push(row(now - 0.0005));
      made += 1;
    }
    if (made >= rate * seconds) {
      clearInterval(timer);
      resolve();
    }
  }, 10);
});
await new Promise((resolve) => setTimeout(resolve, 1000));
const told = await page.evaluate((from) => {
  const lags = globalThis.lags.slice().sort((one, other) => one - other);
  const frames = globalThis.frames.filter((time) => time + performance.timeOrigin >= from);
  const gaps = frames.slice(1).map((time, index) => time - frames[index]).sort((one, other) => one - other);
  const at = (values, share) => values[Math.min(values.length - 1, Math.floor(values.length * share))];
  return {
    events: document.getElementById("figures").textContent,
    elements: document.getElementsByTagName("*").length,
    fps: (frames.length - 1) / ((frames.at(-1) - frames[0]) / 1000),
    frames: frames.length,
    frame99: at(gaps, 0.99),
    lag: [at(lags, 0.5), at(lags, 0.99), lags.at(-1)],
  };
}, begun);
const after = await spent();
const took = (name) => after[name] - before[name];
const busy = took("TaskDuration");
await devtools.send("HeapProfiler.collectGarbage");
const { usedSize } = await devtools.send("Runtime.getHeapUsage");
console.log(`${rate} events/s for ${seconds} s: ${told.fps.toFixed(1)} frames/s, a frame p99 ${told.frame99.toFixed(0)} ms, lag p50 ${told.lag[0].toFixed(0)} p99 ${told.lag[1].toFixed(0)} max ${told.lag[2].toFixed(0)} ms`);
console.log(`${told.events}; ${told.elements} elements; heap ${(usedSize / 1048576).toFixed(0)} MiB`);
const share = ["ScriptDuration", "LayoutDuration", "RecalcStyleDuration"].map((name) => `${name.replace("Duration", "").toLowerCase()} ${(took(name) / busy * 100).toFixed(0)} %`);
console.log(`the page's thread: ${((busy / seconds) * 100).toFixed(0)} % of a core, ${((busy / (rate * seconds)) * 1e6).toFixed(1)} us an event, ${((busy / told.frames) * 1e3).toFixed(1)} ms a frame; ${share.join(", ")}`);

// As many rows as there can be, then keys.
for (let more = 210000 - number; more > 0; more--) waiting.push(row(Date.now() / 1000));
await page.waitForFunction((last) => document.getElementById("figures").children[1]?.textContent.replaceAll(",", "") === `${last} events`, { timeout: 120000 }, number);
const keys = [];
await page.focus("#filter");
for (const key of "things/1999") {
  keys.push(
    await page.evaluate(async (letter) => {
      const input = document.getElementById("filter");
      const begun = performance.now();
      input.value += letter;
      input.dispatchEvent(new Event("input"));
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      return performance.now() - begun;
    }, key),
  );
}
await devtools.send("HeapProfiler.collectGarbage");
const full = (await devtools.send("Runtime.getHeapUsage")).usedSize;
console.log(`a key with ${await page.$eval("#figures", (element) => element.firstElementChild.textContent)}: ${keys.map((key) => key.toFixed(0)).join(" ")} ms; heap ${(full / 1048576).toFixed(0)} MiB`);
await browser.close();
server.close();
process.exit(0);
