// Uses the inspector's page as somebody would, by keyboard and by mouse, and says what went wrong:
// node inspector.mjs INSPECTOR HTTP WEBSOCKET PRINT-RESPOND (addresses), as JSON.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";
import WebSocket from "ws";

const require = createRequire(import.meta.url);
const [inspector, http, websocket, plain] = process.argv.slice(2);
const run = promisify(execFile);
const started = Date.now();
const failed = {};
const troubles = [];
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const downloads = mkdtempSync(join(tmpdir(), "netkit-page-"));

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"],
});
await browser.defaultBrowserContext().overridePermissions(`http://${inspector}`, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
const page = await browser.newPage();
await page.setViewport({ width: 1400, height: 800 });
const devtools = await page.createCDPSession();
await devtools.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads, eventsEnabled: true });
await devtools.send("Network.enable");
let transferred = 0;
devtools.on("Network.loadingFinished", (event) => (transferred += event.encodedDataLength));
page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
page.on("dialog", (dialog) => {
  troubles.push(`a dialog: ${dialog.message()}`);
  dialog.dismiss();
});
page.on("console", (message) => {
  // What is asked for on purpose, and refused, is logged by the browser.
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) troubles.push(`console: ${message.text()}`);
});
await page.evaluateOnNewDocument(() => {
  globalThis.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(event.violatedDirective));
});

const step = async (name, action) => {
  if (process.env.VERBOSE) console.error(((Date.now() - started) / 1000).toFixed(1), name);
  try {
    await action();
  } catch (error) {
    const where = String(error.stack).match(/inspector\.mjs:\d+/g) ?? [];
    const shown = await page.evaluate(() => ["toasts", "trouble", "state", "detail", "figures", "list"].map((id) => document.getElementById(id).textContent.slice(-300)).join(" | ")).catch(String);
    failed[name] = `${error.message} (${where.join(", ")}): ${shown}`;
    await page.keyboard.press("Escape").catch(() => {});
    await page.keyboard.press("Escape").catch(() => {});
  }
};
const until = (check, ...values) => page.waitForFunction(check, { timeout: Number(process.env.PATIENCE ?? 15000), polling: 50 }, ...values);
const text = (selector) => page.$eval(selector, (element) => element.textContent);
const sees = (selector, words) => until((where, what) => [...document.querySelectorAll(where)].some((each) => !each.hidden && each.textContent.includes(what)), selector, words);
const shown = () => page.$eval("#figures", (element) => element.firstElementChild.textContent);
const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const type = async (words) => {
  await page.focus("#list");
  await press("/");
  await press("Backspace");
  await page.keyboard.type(words);
  await press("Enter");
};
const select = async (filter) => {
  await press("Escape", "Escape");
  await type(filter);
  await until(() => document.querySelectorAll("#list .row:not([hidden])").length > 0);
  const before = await page.$eval("#detail", (detail) => detail.textContent);
  await press("Home");
  await appears("#panel");
  await until((text) => document.getElementById("detail").textContent !== text, before);
};
const appears = (selector) => page.waitForSelector(selector, { timeout: Number(process.env.PATIENCE ?? 15000) });
const closed = () => until(() => !document.querySelector("dialog[open]"));
const accessible = async () => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  if (violations.length) throw new Error(violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" ")}`).join("; "));
};
// Waits until it is there and stays in its place.
const click = (selector) => page.locator(selector).setTimeout(Number(process.env.PATIENCE ?? 15000)).click();
// As far as Tab, or Shift and Tab, leads: somebody who has no mouse comes there.
const tabTo = async (selector, back = false) => {
  const seen = [];
  for (let tries = 0; tries < 120; tries++) {
    if (back) await page.keyboard.down("Shift");
    await press("Tab");
    if (back) await page.keyboard.up("Shift");
    const [there, where] = await page.evaluate((wanted) => {
      const { activeElement } = document;
      return [activeElement.matches(wanted), `${activeElement.tagName} ${activeElement.textContent.slice(0, 20)}`];
    }, selector);
    if (there) return;
    seen.push(where);
  }
  throw new Error(`Tab does not lead to ${selector}, but to ${seen.slice(-12).join(", ")}`);
};
const write = async (selector, words) => {
  await tabTo(selector);
  await page.keyboard.down("Control");
  await press("a");
  await page.keyboard.up("Control");
  await page.keyboard.type(words);
};
const pressed = (name) => page.$eval(`[data-command=${name}]`, (element) => element.getAttribute("aria-pressed"));
// A toast stays for a while: which one is it?
const quiet = () => page.evaluate(() => document.getElementById("toasts").replaceChildren());
const raw = (address, octets) =>
  new Promise((resolve) => {
    const [host, port] = address.split(":");
    const socket = connect(Number(port), host, () => socket.end(octets));
    socket.on("error", resolve);
    socket.on("close", resolve);
    socket.resume();
  });

await step("the page arrives small", async () => {
  await page.goto(`http://${inspector}/`);
  await sees("#state", "live");
  await sees("#empty", "Nothing has come yet");
  if (transferred > 100000) throw new Error(`${transferred} octets`);
});

await step("what curl, ws, ncat and a browser send appears", async () => {
  await run("curl", ["-s", "-d", '{"a": [1, 12345678901234567890]}', "-H", "Content-Type: application/json", "-H", "Authorization: Bearer secret", `http://${http}/anything/curl`]);
  await sees(".row .target", "/anything/curl");
  const socket = new WebSocket(`ws://${websocket}/npm`);
  await new Promise((resolve) => socket.on("open", resolve));
  await sees(".row.websocket .target", "/npm");
  socket.send("from npm");
  socket.ping("pinged");
  await new Promise((resolve) => socket.once("message", resolve));
  socket.close(4001, "enough");
  const ncat = spawn("ncat", [...plain.split(":")]);
  ncat.stdin.end("from ncat\n");
  await new Promise((resolve) => ncat.on("close", resolve));
  await sees(".row.tcp .service", "print-respond");
  const other = await browser.newPage();
  await other.goto(`http://${http}/anything/browser`);
  await other.close();
  await sees(".row .target", "/anything/browser");
});

await step("the list is accessible", accessible);

await step("rows are selected by keyboard", async () => {
  await page.focus("#list");
  await press("Home", "ArrowDown", "j", "k", "PageDown", "PageUp", "End");
  await appears(".row.selected");
  const active = await page.$eval("#list", (list) => list.getAttribute("aria-activedescendant"));
  if (!(await page.$eval(`#${active}`, (row) => row.getAttribute("aria-selected"))) === "true") throw new Error(active);
});

await step("an exchange is shown whole", async () => {
  await select("path:curl");
  await sees(".request .startline", "POST /anything/curl HTTP/1.1");
  await sees(".request .fields", "********");
  await sees(".request .text", '"a": [\n    1,\n    12345678901234567890\n  ]');
  await accessible();
  await press("Enter");
  await until(() => document.activeElement.id === "panel");
});

await step("secrets are shown when asked for", async () => {
  await press("s");
  await sees(".request .fields", "Bearer secret");
  await press("s");
  await sees(".request .fields", "********");
});

await step("octets are shown in hex", async () => {
  await press("h");
  await sees(".request .hex", "50 4f 53 54 20 2f 61 6e  79");
  await press("h");
  await page.click(".response .choice label:nth-of-type(2)");
  await sees(".response .text", "HTTP/1.1 200 OK\u240d\u240a");
});

await step("tabs are turned by keyboard", async () => {
  await press("]");
  await sees("[role=tab][aria-selected=true]", "On the wire");
  await sees(".dialogue", "POST /anything/curl");
  await press("ArrowRight");
  await sees("[role=tab][aria-selected=true]", "Times");
  await sees("#panel", "Waiting for the answer");
  await accessible();
  await press("[", "[");
  await sees("[role=tab][aria-selected=true]", "Exchange");
});

await step("a WebSocket is a dialogue", async () => {
  await select("is:websocket path:/npm");
  await sees(".said.client", "from npm");
  await sees(".said.server", "from npm");
  await sees(".said.client", "ping");
  await sees(".note.client", "closes with 4001: enough");
  await sees(".row.selected .status", "4001");
  await accessible();
});

await step("TCP is a dialogue", async () => {
  await select("is:tcp service:print-respond");
  await sees(".said.client", "from ncat");
  await sees(".note", "Client ends its half");
  await sees(".said.server", "response data");
  await accessible();
});

await step("the filter answers as one types, and says what is wrong", async () => {
  await type("");
  await press("Escape");
  const all = Number((await shown()).split(" ")[0]);
  for (const [words, count] of [["path:curl", 1], ["-path:curl", all - 1], ["METHOD:post,put", 1], ["service:print-respond,websocket", 2], ["status:4001", 1], ["/anything status:2xx", 2], ['"anything/cu"', 1]]) {
    await type(words);
    const said = await shown();
    if (!said.startsWith(`${count} of ${all} `)) throw new Error(`${words}: ${said}, not ${count}`);
  }
  await type("is:strange");
  await sees("#trouble", "is:strange is none of");
  await type("text:pinged");
  await until(() => document.getElementById("figures").firstElementChild.textContent.startsWith("1 of "));
  await type("");
  await page.click(".chip[data-word='is:websocket']");
  await until((all) => document.getElementById("figures").firstElementChild.textContent === `1 of ${all} rows`, all);
  await page.click(".chip[data-word='is:websocket']");
});

await step("rows are marked", async () => {
  await select("path:curl");
  await press("m");
  await type("is:marked");
  await sees(".row.marked .mark", "\u2605");
  await type("");
});

await step("it copies as curl, which sends the same again", async () => {
  await select("path:curl");
  await press("s");
  await quiet();
  await press("c");
  await appears(".menu");
  await accessible();
  await press("Enter");
  await sees(".toast", "Copied as curl");
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await run("bash", ["-c", `${command} --silent`]);
  if (!stdout.includes("12345678901234567890") || !stdout.includes("Bearer secret")) throw new Error(`${command}: ${stdout}`);
  await quiet();
  await press("c");
  await appears(".menu");
  await press("ArrowDown", "ArrowDown", "Enter");
  await sees(".toast", "Copied what was sent");
  const sent = await page.evaluate(() => navigator.clipboard.readText());
  if (!sent.replace(/\r/g, "").startsWith("POST /anything/curl HTTP/1.1\nHost:")) throw new Error(sent);
  await quiet();
  await press("c");
  await appears(".menu");
  await press("ArrowDown", "Enter");
  await sees(".toast", "Copied as a netkit command");
  const netkit = await page.evaluate(() => navigator.clipboard.readText());
  const piped = (await run("bash", ["-c", netkit.replace("| netkit", `| "${process.env.NETKIT}"`)])).stdout;
  if (!piped.includes("200 OK")) throw new Error(`${netkit}: ${piped}`);
  await press("s");
});

await step("it copies a WebSocket as netkit ws", async () => {
  await select("is:websocket path:/npm");
  await quiet();
  await press("c");
  await appears(".menu");
  await press("Enter");
  await sees(".toast", "Copied as a netkit command");
  const command = await page.evaluate(() => navigator.clipboard.readText());
  if (command !== `printf '%s\\n' 'from npm' | netkit ws ws://${websocket}/npm`) throw new Error(command);
});

await step("it sends again, and compares the answers", async () => {
  await select("path:curl is:done");
  await press("r");
  await sees("[role=tab][aria-selected=true]", "Compare");
  await sees(".compare", "HTTP/1.1 200 OK");
  await accessible();
});

await step("it sends again, edited", async () => {
  await select("path:curl -is:again");
  await press("e");
  await appears("dialog.compose [name=target]");
  await accessible();
  await page.$eval("dialog.compose [name=target]", (input) => (input.value = "/anything/edited"));
  await page.$eval("dialog.compose [name=content]", (input) => (input.value = "other content"));
  await page.focus("dialog.compose [name=content]");
  await page.keyboard.down("Control");
  await press("Enter");
  await page.keyboard.up("Control");
  await closed();
  await sees(".title .target", "/anything/edited");
  await sees(".compare .come", "other content");
});

await step("it sends exact octets", async () => {
  await press("Escape", "Escape");
  await page.focus("#list");
  await press("n");
  await appears("dialog.compose");
  await page.click("dialog.compose .choice label:nth-of-type(3)");
  await page.$eval("dialog.compose [name=to]", (input, to) => (input.value = `tcp:${to}`), plain);
  await page.$eval("dialog.compose [name=octets]", (input) => (input.value = "a\\x00b\\n"));
  await page.click("dialog.compose .primary");
  await closed();
  await sees(".said.client", "a\u2400b");
});

await step("it saves HAR and pcapng", async () => {
  await press("Escape", "Escape");
  await type("");
  await press("H");
  await sees(".toast", "Saved");
  await press("P");
  for (let tries = 0; tries < 100 && readdirSync(downloads).filter((name) => /\.(har|pcapng)$/.test(name)).length < 2; tries++) await new Promise((resolve) => setTimeout(resolve, 100));
  const names = readdirSync(downloads);
  const har = JSON.parse(readFileSync(join(downloads, names.find((name) => name.endsWith(".har"))), "utf8"));
  if (!har.log.entries.some((entry) => entry.request.url.endsWith("/anything/curl"))) throw new Error("no entry");
  if (readFileSync(join(downloads, names.find((name) => name.endsWith(".pcapng")))).readUInt32LE(0) !== 0x0a0d0d0a) throw new Error("no pcapng");
});

await step("answers and faults are changed", async () => {
  await press("a");
  await appears("section[aria-label=http] [name=status]");
  await accessible();
  await page.$eval("section[aria-label=http] [name=status]", (input) => (input.value = "418"));
  await page.$eval("section[aria-label=http] [name=content]", (input) => (input.value = "a teapot"));
  await page.click("section[aria-label=http] form .primary");
  await sees(".toast", "http answers differently");
  const { stdout } = await run("curl", ["-s", "-i", `http://${http}/`]);
  if (!/^HTTP\/1.1 418/.test(stdout) || !stdout.endsWith("a teapot")) throw new Error(stdout);
  await page.evaluate(() => [...document.querySelectorAll("section[aria-label=http] .actions button")][0].click());
  await sees(".toast", "as at the start");
  const faults = await page.$("section[aria-label=http] form[aria-label='New fault of http']");
  if (faults) {
    await page.select("section[aria-label=http] form[aria-label='New fault of http'] [name=type]", "latency");
    await page.$eval("section[aria-label=http] [name=attribute-delay]", (input) => (input.value = "0.03"));
    await page.click("section[aria-label=http] form[aria-label='New fault of http'] .button");
    await sees("section[aria-label=http] .faults li", "latency");
    await accessible();
    await page.click("section[aria-label=http] .faults li button");
    await until(() => !document.querySelector("section[aria-label=http] .faults li"));
  }
  await press("Escape");
  await closed();
});

await step("it pauses, and goes on", async () => {
  await page.focus("#list");
  await press("p");
  await sees("#state", "paused");
  await run("curl", ["-s", `http://${http}/anything/paused`]);
  await press("p");
  await sees("#state", "live");
  await type("path:paused");
  await sees(".row .target", "/anything/paused");
  await type("");
});

await step("it follows, holds, and turns the order", async () => {
  if ((await page.$eval("[data-command=follow]", (button) => button.getAttribute("aria-pressed"))) === "false") await press("f");
  await press("f");
  await until(() => document.querySelector("[data-command=follow]").getAttribute("aria-pressed") === "false");
  await run("curl", ["-s", `http://${http}/anything/newest`]);
  await sees("#newer", "newer");
  await page.click("#newer");
  await press("o");
  await until(() => document.querySelector("#list .row[aria-rowindex='2'] .target").textContent === "/anything/newest");
  await press("o");
});

await step("the theme is switched, and dark is accessible", async () => {
  await press("t", "t");
  await until(() => document.documentElement.dataset.theme === "dark");
  await select("path:curl");
  await sees(".request .startline", "POST");
  await accessible();
  await press("t");
});

await step("help says which keys there are", async () => {
  await press("?");
  await sees("dialog.help", "Send again");
  await accessible();
  await press("Escape");
  await closed();
});

await step("the splitter is moved by keyboard", async () => {
  await select("path:curl");
  await page.focus("#splitter");
  const before = await page.$eval("#splitter", (bar) => bar.getAttribute("aria-valuenow"));
  await press("ArrowLeft");
  if ((await page.$eval("#splitter", (bar) => bar.getAttribute("aria-valuenow"))) === before) throw new Error(before);
  await press("ArrowRight");
});

await step("360 pixels are enough, and so are 4K", async () => {
  for (const [width, height] of [[360, 640], [3840, 2160]]) {
    await page.setViewport({ width, height });
    await sees(".request .startline", "POST");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) throw new Error(`${width}: ${wide} too wide`);
    await accessible();
  }
  await page.setViewport({ width: 1400, height: 800 });
});

await step("each control takes the mouse", async () => {
  await press("Escape", "Escape");
  await type("");
  const tool = (name) => click(`[data-command=${name}]`);
  await tool("pause");
  await sees("#state", "paused");
  await tool("pause");
  await sees("#state", "live");
  const following = await pressed("follow");
  await tool("follow");
  await until((was) => document.querySelector("[data-command=follow]").getAttribute("aria-pressed") !== was, following);
  for (const [name, toast] of [["order", "Newest first"], ["order", "Newest last"], ["theme", "Theme"], ["har", "Saved"], ["pcapng", "Saved"]]) {
    await quiet();
    await tool(name);
    await sees(".toast", toast);
  }
  await press("t", "t");
  for (const [name, inside] of [["help", ".help"], ["services", " section[aria-label=http]"], ["compose", ".compose"]]) {
    await tool(name);
    await appears(`dialog[open]${inside}`);
    await click("dialog[open] header button");
    await closed();
  }
  await type("path:curl -is:again");
  await click("#list .row:not([hidden]) .target");
  await sees(".request .startline", "POST");
  await click("#tab-times");
  await sees("#panel", "Waiting for the answer");
  await click("[role=tab]");
  await click("#detail-mark");
  await until(() => document.getElementById("detail-mark").getAttribute("aria-pressed") === "false");
  await click("#detail-secrets");
  await sees(".request .fields", "Bearer secret");
  await click("#detail-secrets");
  await sees(".request .fields", "********");
  await quiet();
  await click("#detail-copy");
  await click(".menu [role=menuitem]:last-of-type");
  await sees(".toast", "Copied what was sent");
  await click("#detail-edit");
  await appears("dialog.compose [name=target]");
  await press("Escape");
  await closed();
  const bar = await page.$("#splitter");
  const { x, y } = await bar.boundingBox();
  const before = await page.$eval("#splitter", (element) => element.getAttribute("aria-valuenow"));
  await page.mouse.move(x + 2, y + 100);
  await page.mouse.down();
  await page.mouse.move(x - 80, y + 100);
  await page.mouse.up();
  await until((was) => document.getElementById("splitter").getAttribute("aria-valuenow") !== was, before);
  await click("#detail-again");
  await sees("[role=tab][aria-selected=true]", "Compare");
  await click("#detail-close");
  await until(() => document.getElementById("detail").hidden);
});

await step("each control is reached by keyboard alone", async () => {
  await type("");
  await press("/");
  for (const name of ["pause", "follow", "order", "clear", "har", "pcapng", "services", "compose", "theme", "help"]) await tabTo(`[data-command=${name}]`);
  await press("Enter");
  await appears("dialog.help");
  await tabTo("dialog header button");
  await press("Space");
  await closed();
  await tabTo(".chip[data-word='is:websocket']");
  await press("Space");
  await until(() => document.querySelector(".chip[data-word='is:websocket']").getAttribute("aria-pressed") === "true");
  await press("Space");
  await select("path:curl -is:again");
  for (const name of ["again", "edit", "copy", "secrets", "mark", "close"]) await tabTo(`#detail-${name}`);
  await tabTo("[role=tab][aria-selected=true]");
  await tabTo(".request .choice input");
  await press("ArrowRight");
  await sees(".request .text", "POST /anything/curl HTTP/1.1\u240d\u240a");
  await press("ArrowRight");
  await sees(".request .hex", "50 4f 53 54");
  await press("ArrowLeft", "ArrowLeft");
  await tabTo(".request .window");
  // Something new, as exact octets.
  await press("Escape", "Escape", "n");
  await appears("dialog.compose");
  await write("dialog.compose [name=to]", `tcp:${plain}`);
  await tabTo("dialog.compose .choice input");
  await press("ArrowRight", "ArrowRight");
  await write("dialog.compose [name=octets]", "by keyboard\\x00\\n");
  await tabTo("dialog.compose .primary");
  await press("Enter");
  await closed();
  await sees(".said.client", "by keyboard\u2400");
});

await step("answers and faults are changed by keyboard alone", async () => {
  const card = "section[aria-label=websocket]";
  await press("Escape", "Escape", "a");
  await appears(`${card} [name=content]`);
  await quiet();
  await write(`${card} [name=content]`, "always this");
  await tabTo(`${card} form .primary`);
  await press("Enter");
  await sees(".toast", "websocket answers differently");
  const answered = async () => {
    const socket = new WebSocket(`ws://${websocket}/changed`);
    await new Promise((resolve) => socket.on("open", resolve));
    socket.send("what was said");
    const [message] = await new Promise((resolve) => socket.once("message", (...told) => resolve(told)));
    socket.close();
    return String(message);
  };
  if ((await answered()) !== "always this") throw new Error("it answers as before");
  await tabTo(`${card} form .actions button`);
  await press("Space");
  await sees(".toast", "websocket answers as at the start");
  if ((await answered()) !== "what was said") throw new Error("it does not answer as before");
  const form = `${card} form[aria-label='New fault of websocket']`;
  await tabTo(`${form} [name=type]`);
  await page.keyboard.type("latency");
  await write(`${form} [name=attribute-delay]`, "0.01");
  await tabTo(`${form} .actions button, ${form} > button, ${form} .button`);
  await press("Enter");
  await sees(`${card} .faults li`, "latency");
  await tabTo(`${card} .faults li button`);
  await press("Enter");
  await until((where) => !document.querySelector(`${where} .faults li`), card);
  await press("Escape");
  await closed();
});

await step("a WebSocket and a dialogue are sent again, edited", async () => {
  await select("is:websocket path:/npm");
  await press("e");
  await appears("dialog.compose [name=messages]");
  await page.focus("dialog.compose [name=messages]");
  await page.keyboard.type("one more\n");
  await click("dialog.compose .primary");
  await closed();
  await sees(".title .target", "/npm");
  await press("[", "[", "[");
  await until(() => document.getElementById("panel")?.textContent.includes("one more") || (document.querySelector("[role=tab][aria-selected=true]")?.nextElementSibling ?? document.querySelector("[role=tab]")).click());
  await select("is:tcp service:print-respond -is:again");
  await press("e");
  await appears("dialog.compose [name=octets]");
  await page.focus("dialog.compose [name=octets]");
  await page.keyboard.type("edited ");
  await click("dialog.compose .primary");
  await closed();
  await type("is:again is:tcp");
  await sees("#list .row:not([hidden]) .service", "sent again");
});

await step("what is long is paged", async () => {
  const socket = new WebSocket(`ws://${websocket}/long`);
  await new Promise((resolve) => socket.on("open", resolve));
  for (let number = 0; number < 120; number++) {
    socket.send(`message ${number} ${"x".repeat(number === 119 ? 3000 : 0)}`);
    await new Promise((resolve) => socket.once("message", resolve));
  }
  socket.close();
  await select("path:/long");
  const go = (name) =>
    until((label) => {
      const found = [...document.querySelectorAll("#panel .pager button")].find((each) => each.textContent === label);
      found?.click();
      return found;
    }, name);
  await sees("#panel .pager", "of 24");
  await go("Latest");
  await sees(".said.client", "message 119");
  await go("Earlier");
  await sees(".said.client", "message 50");
  await go("Later");
  await sees(".said.client", "message 119");
  await page.evaluate(() => [...document.querySelectorAll(".said button")].find((each) => each.textContent.startsWith("Show all")).click());
  await until(() => [...document.querySelectorAll(".said .text")].some((each) => each.textContent.length > 3000));
  await run("curl", ["-s", "-o", "/dev/null", `http://${http}/stream/20000`]);
  // While more of it comes, the pages are others.
  await type("path:/stream");
  await until(() => /\d (ms|s)/.test(document.querySelector("#list .row:not([hidden]) .duration")?.textContent));
  await select("path:/stream");
  await sees(".response .text", "line 0");
  await go("Later");
  await sees(".response .text", "line 4000");
  await go("End");
  await sees(".response .text", "line 19999");
  await go("Earlier");
  await sees(".response .text", "line 17000");
});

await step("a recording is looked at, and nothing of it can be changed", async () => {
  const recording = join(downloads, readdirSync(downloads).find((name) => name.endsWith(".pcapng")));
  const inspect = spawn(process.env.NETKIT, ["inspect", "--inspect-read-only", recording]);
  try {
    const address = await new Promise((resolve, reject) => {
      let said = "";
      for (const stream of [inspect.stdout, inspect.stderr]) {
        stream.on("data", (data) => {
          said += data;
          const found = /http:\/\/[^\s/]+\//.exec(said);
          if (found) resolve(found[0]);
        });
      }
      inspect.on("close", () => reject(new Error(said)));
    });
    const other = await browser.newPage();
    await other.goto(address);
    await other.waitForFunction(() => [...document.querySelectorAll(".row .target")].some((each) => each.textContent === "/anything/curl"));
    await other.waitForFunction(() => document.getElementById("figures").textContent.includes("read-only"));
    const open = await other.$$eval("[data-command]", (buttons) => buttons.filter((each) => !each.disabled).map((each) => each.dataset.command));
    if (open.includes("clear") || open.includes("compose") || !open.includes("har")) throw new Error(open.join(" "));
    await other.close();
    await page.bringToFront();
  } finally {
    inspect.kill();
  }
});

await step("what was refused is pointed at", async () => {
  await raw(http, Buffer.from("GET /x HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n"));
  await select("is:refused");
  await sees(".request .banner", "At octet 26.");
  await sees(".request .hex pre:last-child mark", "B");
  await sees(".notes", "refused with 400");
  await accessible();
});

await step("nothing hostile runs or freezes", async () => {
  const script = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e\u2066";
  const attack = encodeURIComponent(script).replaceAll("%3C", "<").replaceAll("%3E", ">");
  await raw(http, Buffer.from(`POST /anything/${attack} HTTP/1.1\r\nHost: x\r\nX-A: ${script}\r\nContent-Type: text/html\r\nContent-Length: ${Buffer.byteLength(script) + 3}\r\n\r\n${script}\0\xff`, "utf8"));
  await raw(http, Buffer.concat([Buffer.from("GET /\0\xff\u202e<b> HTTP/1.1\r\nHost: x\r\n\r\n", "latin1")]));
  await raw(http, Buffer.from(`GET /anything/many HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 10000 }, (_, index) => `F${index}: <b>${index}</b>`).join("\r\n")}\r\n\r\n`));
  await raw(plain, Buffer.concat([Buffer.from(script), Buffer.from([0, 255, 254, 27, 91]), Buffer.alloc(100 << 20, "<p>\n\0")]));
  const socket = new WebSocket(`ws://${websocket}/${encodeURIComponent(script)}`);
  await new Promise((resolve) => socket.on("open", resolve));
  socket.send(script);
  socket.send(Buffer.from([255, 0, 254]));
  await new Promise((resolve) => socket.once("message", resolve));
  socket.close(4000, script.slice(0, 40));
  await new Promise((resolve) => socket.on("close", resolve));
  await press("Escape", "Escape");
  await type("");
  await press("End");
  const rows = Number((await shown()).split(" ")[0].replace(",", ""));
  let longest = 0;
  for (let row = 0; row < Math.min(rows, 8); row++) {
    const begun = Date.now();
    await appears("#panel, .detail .trouble");
    for (let turn = 0; turn < 4; turn++) {
      if (await page.$("#panel")) await press("]");
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
      await press("h", "h");
    }
    longest = Math.max(longest, Date.now() - begun);
    await page.focus("#list");
    await press("ArrowUp");
  }
  await accessible();
  const found = await page.evaluate(() => ({ violations: globalThis.violations, scripts: document.querySelectorAll("body script, #list img, #list b, #detail b script").length }));
  if (found.violations.length || found.scripts) throw new Error(JSON.stringify(found));
});

await step("it clears", async () => {
  await press("Escape", "Escape");
  await page.focus("#list");
  await press("X");
  // What is still open may stay.
  await until(() => [...document.querySelectorAll("#list .row:not([hidden]) .target")].every((target) => !target.textContent.includes("/anything")));
});

await browser.close();
console.log(JSON.stringify({ failed, troubles, transferred }));
