/**
 * Two answers beside each other: that of an exchange, and that of the one that repeats it.
 */

import * as api from "./api.js";
import { h } from "./dom.js";
import { duration, visible, visibleLines } from "./format.js";
import { decode } from "./octets.js";
import * as pretty from "./pretty.js";

const _MOST = 65536;
const _LINES = 800;

/**
 * Find which lines two texts have in common.
 *
 * @param {string[]} before lines.
 * @param {string[]} after lines.
 * @returns {Array<[string|null, string|null]>} pairs of lines; null where one has none.
 */
export function align(before, after) {
    let head = 0;
    while (head < before.length && head < after.length && before[head] === after[head]) head++;
    let tail = 0;
    while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
    const left = before.slice(head, before.length - tail);
    const right = after.slice(head, after.length - tail);
    const pairs = before.slice(0, head).map((line) => [line, line]);
    if (left.length * right.length > 250000) pairs.push(..._beside(left, right));
    else pairs.push(..._common(left, right));
    pairs.push(...before.slice(before.length - tail).map((line) => [line, line]));
    return pairs;
}

function _beside(left, right) {
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => [left[index] ?? null, right[index] ?? null]);
}

function _common(left, right) {
    const width = right.length + 1;
    const longest = new Uint16Array((left.length + 1) * width);
    for (let i = left.length - 1; i >= 0; i--) {
        for (let j = right.length - 1; j >= 0; j--) {
            longest[i * width + j] = left[i] === right[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
        }
    }
    const pairs = [];
    let [gone, come] = [[], []];
    const flush = () => {
        pairs.push(..._beside(gone, come));
        [gone, come] = [[], []];
    };
    let [i, j] = [0, 0];
    while (i < left.length || j < right.length) {
        if (i < left.length && j < right.length && left[i] === right[j]) {
            flush();
            pairs.push([left[i++], right[j++]]);
        } else if (j >= right.length || (i < left.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) gone.push(left[i++]);
        else come.push(right[j++]);
    }
    flush();
    return pairs;
}

async function _lines(exchange, secrets) {
    const { response } = exchange;
    if (!response) return { head: [exchange.state === "open" ? "No answer yet." : "No answer."], body: await _stream(exchange, secrets) };
    const head = [response.line, ...response.fields.map(({ name, value }) => `${name}: ${value}`)];
    const { content } = response;
    if (!content.length) return { head, body: exchange.type === "websocket" ? await _said(exchange) : [] };
    const decoded = content.coding !== null && content.undecodable === null;
    const { octets } = await api.octets(api.paths.content(exchange.id, "response", { decoded, secrets }), 0, _MOST);
    const { text } = decode(octets, content.type);
    const shown = pretty.kind(content.type) === "json" ? (pretty.json(text) ?? text) : text;
    return { head, body: visibleLines(shown).split("\n").slice(0, _LINES) };
}

async function _stream(exchange, secrets) {
    if (exchange.type !== "tcp") return [];
    const { octets } = await api.octets(api.paths.stream(exchange.connection, exchange.role === "server" ? "sent" : "received", secrets), 0, _MOST);
    return visibleLines(decode(octets).text).split("\n").slice(0, _LINES);
}

async function _said(exchange) {
    const { messages } = await api.messages(exchange.id, -1, 200);
    return messages.filter((message) => !message.fromClient && message.kind === "message").map((message) => visible(message.text ?? `${message.length} octets`));
}

function _table(pairs, label) {
    const cell = (line, tone) => h("td", { class: line === null ? "none" : tone }, line ?? "");
    return h(
        "table",
        { class: "compare", "aria-label": label },
        h("tbody", {}, ...pairs.map(([left, right]) => {
            const same = left === right;
            return h("tr", {}, cell(left, same ? "" : "gone"), cell(right, same ? "" : "come"));
        })),
    );
}

/**
 * Show how two answers differ.
 *
 * @param {HTMLElement} panel where.
 * @param {any} exchange the one that repeats another, whole.
 * @param {boolean} secrets whether nothing is masked.
 */
export async function compare(panel, exchange, secrets) {
    try {
        const first = await api.exchange(exchange.again, secrets);
        const [left, right] = await Promise.all([_lines(first, secrets), _lines(exchange, secrets)]);
        const differences = exchange.differences;
        panel.replaceChildren(
            h("p", { class: `banner ${differences?.length ? "warn" : "good"}` }, differences === null ? "Its answer is not complete yet." : differences.length ? differences.length === 1 ? "The answers differ in one thing." : `The answers differ in ${differences.length} things.` : "The answers are the same."),
            h("div", { class: "comparehead" }, h("b", {}, `First, ${duration(first.duration) || "open"}`), h("b", {}, `Again, ${duration(exchange.duration) || "open"}`)),
            _table(align(left.head.map(visible), right.head.map(visible)), "Heads"),
            _table(align(left.body, right.body), "Contents"),
        );
    } catch (error) {
        panel.replaceChildren(h("p", { class: "trouble" }, error.message));
    }
}
