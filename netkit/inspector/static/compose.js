/**
 * Sending again, edited, and sending something new.
 */

import * as api from "./api.js";
import { endpointOf, sentOctets } from "./copy.js";
import { openDialog } from "./dialogs.js";
import { button, choice, h } from "./dom.js";
import { decode, toBase64 } from "./octets.js";

const _MASKED = "********";
const _MOST = 1 << 20;

function _area(name, label, value, rows) {
    const area = h("textarea", { name, rows, spellcheck: "false", autocomplete: "off" });
    area.value = value;
    return h("label", { class: "wide" }, h("span", {}, label), area);
}

function _input(name, label, value, kind = "") {
    const input = h("input", { name, type: "text", spellcheck: "false", autocomplete: "off" });
    input.value = value;
    return h("label", { class: kind }, h("span", {}, label), input);
}

/** Write fields as lines. @param {any[]} fields as the API says. @returns {string} a line for each. */
export const fieldLines = (fields) => fields.map(({ name, value, masked }) => `${name}: ${masked ? _MASKED : value}`).join("\n");

/**
 * Read fields from lines.
 *
 * @param {string} text a line for each.
 * @returns {any[]} them as the API wants them.
 */
export function readFields(text) {
    return text
        .split("\n")
        .filter((line) => line.trim())
        .map((line) => {
            const at = line.indexOf(":", 1);
            if (at < 0) throw new Error(`"${line}" has no colon: a field is written as Name: value`);
            const name = line.slice(0, at);
            const value = line.slice(at + 1).trim();
            return value === _MASKED ? { name, masked: true } : { name, value };
        });
}

/**
 * Open the editor.
 *
 * @param {any|null} exchange what is sent again, whole; null for something new.
 * @param {boolean} secrets whether nothing is masked.
 * @param {string} to where something new goes.
 * @param {(sent: any) => void} sent told what the API answered.
 */
export async function compose(exchange, secrets, to, sent) {
    const type = exchange?.type ?? "http";
    const form = h("form", { class: "form", onsubmit: (event) => event.preventDefault() });
    const trouble = h("p", { class: "trouble", role: "alert" });
    const begun = exchange ? await _begin(exchange, secrets) : { method: "GET", target: "/", fields: "Host: localhost\nConnection: close", content: "", octets: "", messages: "", binary: false };
    let mode = type === "tcp" ? "octets" : type;
    const draw = () => {
        const parts = [];
        if (mode === "http") {
            parts.push(_input("method", "Method", begun.method), _input("target", "Target", begun.target, "grow"), _area("fields", "Header fields", begun.fields, 8));
            if (begun.binary) parts.push(h("p", { class: "dim wide" }, "Its content is no text: it is sent as it was."));
            else parts.push(_area("content", "Content", begun.content, 8));
        } else if (mode === "octets") parts.push(_area("octets", "Octets, as \\r \\n \\t \\\\ \\x00 where they are no plain text", begun.octets, 14));
        else parts.push(_input("target", "Target", begun.target, "grow"), _area("messages", "Messages, a line for each", begun.messages, 10));
        body.replaceChildren(...parts);
    };
    const body = h("div", { class: "formrow" });
    const modes = exchange ? (type === "http" ? ["http", "octets"] : []) : ["http", "websocket", "octets"];
    const names = { http: "Request", websocket: "WebSocket", octets: "Exact octets" };
    const act = button({ label: "Send", icon: "send", text: true, class: "primary" }, async () => {
        trouble.textContent = "";
        try {
            const answer = await api.send(_read(form, mode, exchange, begun));
            dialog.close();
            sent(answer);
        } catch (error) {
            trouble.textContent = error.message;
        }
    });
    form.append(
        h("div", { class: "formrow" }, _input("to", "To (a client endpoint string)", exchange ? endpointOf(exchange) : to, "grow"), modes.length ? choice("What is sent", modes.map((each) => [each, names[each]]), mode, (value) => {
            mode = value;
            draw();
        }) : ""),
        body,
        trouble,
        h("div", { class: "actions" }, h("span", { class: "dim" }, "Ctrl+Enter sends"), act),
    );
    form.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act.click();
    });
    draw();
    const dialog = openDialog(exchange ? "Edit and send again" : "Send something new", "compose", form);
    form.querySelector(exchange ? "[name=target], [name=octets]" : "[name=to]")?.focus();
}

async function _begin(exchange, secrets) {
    const begun = { method: exchange.method ?? "", target: exchange.target ?? "", fields: "", content: "", octets: "", messages: "", binary: false };
    if (exchange.type === "websocket") {
        const { messages } = await api.messages(exchange.id, -1, 1000);
        begun.messages = messages.filter((message) => message.fromClient && message.kind === "message" && message.text !== null).map((message) => message.text).join("\n");
        return begun;
    }
    begun.octets = _escape(await sentOctets(exchange, secrets));
    if (exchange.request) {
        begun.fields = fieldLines(exchange.request.fields);
        if (exchange.request.content.length) {
            const { octets, total } = await api.octets(api.paths.content(exchange.id, "request", { secrets }), 0, _MOST);
            const { text } = decode(octets);
            begun.binary = total > octets.length || /[\ufffd\0]/.test(text);
            begun.content = begun.binary ? "" : text;
        }
    }
    return begun;
}

function _read(form, mode, exchange, begun) {
    const value = (name) => form.elements.namedItem(name)?.value;
    const what = { to: value("to") };
    if (exchange) what.exchange = exchange.id;
    else what.type = mode === "octets" ? "tcp" : mode;
    if (mode === "octets") {
        if (!exchange || value("octets") !== begun.octets) what.octets = { base64: toBase64(_unescape(value("octets"))) };
        return what;
    }
    what.target = value("target");
    if (mode === "websocket") {
        if (!exchange || value("messages") !== begun.messages) what.messages = value("messages").split("\n").filter(Boolean).map((text) => ({ text }));
        return what;
    }
    what.method = value("method");
    if (!exchange || value("fields") !== begun.fields) what.fields = readFields(value("fields"));
    if (!begun.binary && (value("content") !== begun.content || (!exchange && value("content")))) what.content = { text: value("content") };
    return what;
}

function _escape(octets) {
    const { text } = decode(octets);
    if (text.includes("\ufffd")) {
        return Array.from(octets, (octet) => (octet === 10 ? "\\n\n" : octet === 13 ? "\\r" : octet === 92 ? "\\\\" : octet >= 32 && octet < 127 ? String.fromCharCode(octet) : `\\x${octet.toString(16).padStart(2, "0")}`)).join("");
    }
    // eslint-disable-next-line no-control-regex
    return text.replace(/[\\\u0000-\u001f\u007f]/g, (character) => ({ "\\": "\\\\", "\n": "\\n\n", "\r": "\\r", "\t": "\\t" })[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function _unescape(text) {
    // A line is broken for the eye alone: \n stands for what is sent.
    const parts = text.replace(/\n/g, "").split(/(\\(?:x[0-9a-fA-F]{2}|[\s\S]))/);
    const octets = [];
    const encoder = new TextEncoder();
    for (const part of parts) {
        if (/^\\x[0-9a-fA-F]{2}$/.test(part)) octets.push(parseInt(part.slice(2), 16));
        else if (/^\\[\s\S]$/.test(part)) octets.push(...encoder.encode({ n: "\n", r: "\r", t: "\t", 0: "\0" }[part[1]] ?? part[1]));
        else octets.push(...encoder.encode(part));
    }
    return Uint8Array.from(octets);
}
