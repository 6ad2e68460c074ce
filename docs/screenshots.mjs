// Takes pictures of the inspector: node docs/screenshots.mjs ADDRESS FOLDER. docs/screenshots.py starts it,
// beside services that have traffic.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const puppeteer = createRequire(join(here, "../tests/interop/"))("puppeteer-core");
const [address, folder] = process.argv.slice(2);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"],
});
const page = await browser.newPage();
page.on("console", (message) => console.log(`console: ${message.text()}`));
page.on("pageerror", (error) => console.log(`error: ${error.message}`));

const visit = async (width, height, scheme, filter = "") => {
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto("about:blank");
  await page.goto(`${address}${filter && `#filter=${encodeURIComponent(filter)}`}`);
  await page.waitForSelector("#list .row:not([hidden]) .status");
  await page.waitForFunction(() => document.querySelector(".figures b").textContent !== "\u2014");
};
const open = async (filter, tab = null) => {
  await page.evaluate((text) => {
    const input = document.getElementById("filter");
    input.value = text;
    input.dispatchEvent(new Event("input"));
  }, filter);
  await page.focus("#list");
  await page.keyboard.press("Home");
  await page.waitForSelector("#panel");
  if (tab) await page.click(`#tab-${tab}`);
  await new Promise((resolve) => setTimeout(resolve, 700));
  await page.evaluate(() => {
    const input = document.getElementById("filter");
    input.value = "";
    input.dispatchEvent(new Event("input"));
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
};
const picture = (name) => page.screenshot({ path: join(folder, `inspector-${name}.webp`), type: "webp", quality: 88 });

await visit(1280, 760, "light");
await picture("list");
await open("method:POST path:orders");
await picture("http");
await open("is:websocket messages:>3");
await picture("websocket");
await open("is:tcp service:print-respond size:>60");
await picture("tcp");
await visit(1280, 760, "dark");
await open("method:POST path:orders");
await picture("dark");
await visit(360, 740, "light");
await picture("narrow");
await browser.close();
