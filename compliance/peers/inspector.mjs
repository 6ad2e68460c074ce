// Sends what is hostile through every field that a peer has, looks at all of it in the inspector's page, and says what came of that:
// node inspector.mjs INSPECTOR HTTP WEBSOCKET ECHO (addresses) MEBIBYTES, as JSON. MEBIBYTES is the length of the long stream.
// In Chromium, or with BROWSER=firefox in Firefox.
import { createRequire } from "node:module";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(join(dirname(fileURLToPath(import.meta.url)), "../../tests/interop/"));
const puppeteer = require("puppeteer-core");
const WebSocket = require("ws");
const [inspector, http, websocket, echo, mebibytes] = process.argv.slice(2);

const firefox = process.env.BROWSER === "firefox";
const browser = await puppeteer.launch({
  browser: firefox ? "firefox" : "chrome",
  executablePath: firefox ? process.env.FIREFOX ?? "/usr/bin/firefox-esr" : process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: firefox ? [] : ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"],
  protocolTimeout: 600000,
});
const page = await browser.newPage();
await page.setViewport({ width: 1400, height: 800 });
const troubles = [];
page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
page.on("dialog", (dialog) => {
  troubles.push(`a dialog: ${dialog.message()}`);
  dialog.dismiss();
});
page.on("console", (message) => message.type() === "error" && !message.text().startsWith("Failed to load resource") && troubles.push(`console: ${message.text()}`));
page.on("request", (request) => new URL(request.url()).host !== inspector && !/^(data|blob):/.test(request.url()) && troubles.push(`asked for ${request.url()}`));
await page.evaluateOnNewDocument(() => {
  globalThis.violations = [];
  globalThis.longest = 0;
  document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(event.violatedDirective));
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, task.duration);
  }).observe({ type: "longtask", buffered: true });
});
await page.goto(`http://${inspector}/`);
await page.waitForFunction(() => document.getElementById("state").textContent === "live");

const send = (address, ...pieces) =>
  new Promise((resolve) => {
    const [host, port] = address.split(":");
    let waiting = () => {};
    const socket = connect(Number(port), host, async () => {
      for (const piece of pieces) {
        if (socket.destroyed) break;
        if (!socket.write(piece)) await new Promise((drained) => (waiting = drained));
      }
      socket.end();
    });
    const ended = () => resolve(waiting());
    socket.on("drain", () => waiting()).on("error", ended).on("close", ended).resume();
  });
const bytes = (...parts) => Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(part, "utf8"))));

// What does harm where it is taken for more than text.
const hostile = {
  script: "<script>globalThis.ran=1;alert(1)</script>",
  image: "<img src=x onerror=globalThis.ran=1><svg/onload=globalThis.ran=1>",
  link: "javascript:globalThis.ran=1",
  quote: "\"'><iframe/srcdoc=<script>parent.ran=1</script>>`${globalThis.ran=1}",
  template: "{{constructor.constructor('globalThis.ran=1')()}}",
  bidi: "\u202e\u2066evil\u2069\u202c\u200f\u061c\ufeff\u200b",
  nul: "\0\x01\x1b[2J\x1b]0;x\x07\x7f\x80\x9b",
  invalid: Buffer.from([0xff, 0xfe, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80]),
  huge: Buffer.from("\u0300".repeat(5000)),
  proto: "__proto__",
};
const kinds = [
  ["text/html", (what) => bytes("<body>", what)],
  ["application/json", (what) => bytes('{"__proto__":{"ran":1},"a":"', String(what).replace(/["\\\0-\x1f]/g, ""), '"}')],
  ["application/xml", (what) => bytes('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;', what, "</a>")],
  ["image/svg+xml", (what) => bytes('<svg xmlns="http://www.w3.org/2000/svg" onload="globalThis.ran=1">', what, "</svg>")],
  ["application/x-www-form-urlencoded", (what) => bytes("__proto__=1&a=", what)],
  ["image/png", (what) => bytes(what)],
];
for (const what of Object.values(hostile)) {
  // In the method, the target, a field's name and value, the host, as UTF-8 octets, whether that is allowed there or not.
  await send(http, bytes("GET /anything/", what, "?", what, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  await send(http, bytes(what, " / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await send(http, bytes("GET / HTTP/1.1\r\nHost: ", what, "\r\n\r\n"));
  await send(http, bytes("GET /anything/name HTTP/1.1\r\nHost: x\r\n", what, ": 1\r\n\r\n"));
  await send(http, bytes("GET /anything/value HTTP/1.1\r\nHost: x\r\nCookie: ", what, "\r\nX: ", what, "\r\n\r\n"));
  for (const [type, make] of kinds) {
    const content = make(what);
    await send(http, bytes(`POST /anything/${type} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${content.length}\r\n\r\n`, content));
  }
  await send(echo, bytes(what));
  const socket = new WebSocket(`ws://${websocket}/${encodeURIComponent(String(what).slice(0, 200))}`);
  await new Promise((resolve) => socket.on("open", resolve));
  for (const message of [String(what), Buffer.from(what)]) {
    socket.send(message);
    await new Promise((resolve) => socket.once("message", resolve));
  }
  socket.ping(Buffer.from(what).subarray(0, 125));
  socket.close(4000, Buffer.from(String(what).slice(0, 20)));
  await new Promise((resolve) => socket.on("close", resolve));
}
// An image, a bomb and a lie.
const { gzipSync } = await import("node:zlib");
const bomb = gzipSync(Buffer.alloc(200 << 20));
for (const [coding, content] of [["gzip", bomb], ["gzip", Buffer.from("no gzip")], ["br", bomb], [Array(50).fill("gzip").join(","), bomb]]) {
  await send(http, bytes(`POST /anything/${coding} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: ${coding}\r\nContent-Length: ${content.length}\r\n\r\n`, content));
}
// Much.
const fields = Array.from({ length: 10000 }, (_, index) => `F${index}: <b>${index}</b>`).join("\r\n");
await send(http, bytes(`GET /anything/many HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n`));
await send(http, bytes(`GET /anything/${"x".repeat(60000)} HTTP/1.1\r\nHost: x\r\n\r\n`));
const mebibyte = Buffer.alloc(1 << 20, "<p>\n\0\u202e");
const asked = async (path, options) => (await fetch(`http://${path}`, options)).arrayBuffer();
for (const [type, text] of [["text/html", "<p onclick='ran=1'>\n"], ["application/json", "["], ["application/json", '{"__proto__":']]) {
  const answer = { fields: [{ name: "Content-Type", value: type }], content: { text: text.repeat(8000000 / text.length) } };
  await asked(`${inspector}/api/services/http/answer`, { method: "PUT", body: JSON.stringify(answer), headers: { "Content-Type": "application/json" } });
  await asked(`${http}/`);
}
await asked(`${http}/bytes/${100 << 20}`);
await send(echo, ...Array(20).fill(mebibyte));

// Each row is looked at in each tab, as text and in hex.
const figures = () => page.evaluate(() => document.getElementById("figures").textContent);
const rows = async () => Number((await figures()).split(" ")[0].replaceAll(",", ""));
let looked = 0;
const look = async (count) => {
  await page.focus("#list");
  await page.keyboard.press("End");
  for (let row = 0; row < count; row++) {
    await page.waitForSelector("#panel, .detail .trouble", { timeout: 60000 });
    for (let turn = 0; turn < 3; turn++) {
      if (await page.$("#panel")) await page.keyboard.press("]");
      if (turn !== 1) await page.keyboard.press("h");
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 20))));
    }
    looked += 1;
    await page.focus("#list");
    await page.keyboard.press("ArrowUp");
  }
};
await new Promise((resolve) => setTimeout(resolve, 3000));
const all = await rows();
await look(all);
// The long stream, while somebody looks.
const stream = send(echo, ...Array(Number(mebibytes)).fill(mebibyte));
await look(5);
await stream;
await new Promise((resolve) => setTimeout(resolve, 1000));
await look(5);
const found = await page.evaluate(() => ({
  ran: globalThis.ran ?? Object.prototype.ran ?? null,
  violations: globalThis.violations,
  elements: document.querySelectorAll("body script, body iframe, body object, #list img, #list b, #detail script, #detail svg[onload]").length,
  longest: Math.round(globalThis.longest),
  figures: document.getElementById("figures").textContent,
}));
await browser.close();
console.log(JSON.stringify({ ...found, troubles, wanted: all + 10, looked }));
