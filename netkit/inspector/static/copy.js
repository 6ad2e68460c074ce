/**
 * What was sent, as commands that send it again.
 */

import * as api from "./api.js";
import { decode } from "./octets.js";

const _MOST = 1 << 20;

/** @param {any} exchange an exchange. @returns {string} where its server is, as host:port or a path. */
const _server = (exchange) => (exchange.role === "server" ? exchange.host : exchange.peer);

/**
 * Quote for a shell: as it is where that is plain, with $'' where it holds what a terminal does not take.
 *
 * @param {string} text one argument, a character for each octet where it is binary.
 * @returns {string} the argument.
 */
export function quote(text) {
    if (/^[\w@%+=:,./-]+$/.test(text)) return text;
    if (/^[\x20-\x7e\n]*$/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
    const octets = [...new TextEncoder().encode(text)];
    return `$'${_escaped(octets, "'")}'`;
}

function _escaped(octets, special) {
    return octets
        .map((octet) => {
            const character = String.fromCharCode(octet);
            if (character === "\\" || character === special) return `\\${character}`;
            if (octet === 10) return "\\n";
            if (octet === 13) return "\\r";
            if (octet >= 32 && octet < 127) return character;
            return `\\x${octet.toString(16).padStart(2, "0")}`;
        })
        .join("");
}

function _endpoint(exchange) {
    const server = _server(exchange);
    if (server.startsWith("unix:") || server.startsWith("/")) return server.startsWith("/") ? `unix:${server}` : server;
    return `${exchange.tls ? "tls" : "tcp"}:${server.replace(/^\[(.*)\]:/, (_, host) => `${host.replaceAll(":", "\\:")}:`)}`;
}

function _url(exchange, scheme) {
    const unix = _endpoint(exchange).startsWith("unix:");
    const named = exchange.request?.fields.find((field) => field.name.toLowerCase() === "host")?.value;
    const authority = unix ? (named ?? "localhost") : _server(exchange);
    return `${scheme}${exchange.tls ? "s" : ""}://${authority}${exchange.target ?? "/"}`;
}

async function _all(path) {
    const { octets, total } = await api.octets(path, 0, _MOST);
    if (total > octets.length) throw new Error("More than 1 MiB: save it as HAR or pcapng instead");
    return octets;
}

/**
 * Write an exchange as a call of curl.
 *
 * @param {any} exchange all of it.
 * @param {boolean} secrets whether nothing is masked.
 * @returns {Promise<string>} the command.
 */
export async function asCurl(exchange, secrets) {
    const words = ["curl", "--include"];
    const endpoint = _endpoint(exchange);
    if (endpoint.startsWith("unix:")) words.push("--unix-socket", quote(endpoint.slice(5)));
    const content = exchange.request.content.length > 0 ? await _all(api.paths.content(exchange.id, "request", { secrets })) : null;
    if (exchange.method === "HEAD") words.push("--head");
    else if (exchange.method !== (content ? "POST" : "GET")) words.push("--request", quote(exchange.method));
    if (exchange.version === "HTTP/1.0") words.push("--http1.0");
    words.push("--path-as-is", "--globoff");
    // curl writes these itself: an empty one takes its own away.
    for (const name of ["User-Agent", "Accept", ...(content ? ["Content-Type"] : [])]) {
        if (!exchange.request.fields.some((field) => field.name.toLowerCase() === name.toLowerCase())) words.push("-H", quote(`${name}:`));
    }
    for (const { name, value } of exchange.request.fields) {
        const lower = name.toLowerCase();
        if (lower === "content-length" || (lower === "host" && value === _server(exchange))) continue;
        words.push("-H", quote(value === "" ? `${name};` : `${name}: ${value}`));
    }
    if (content) {
        const { text } = decode(content);
        const exact = !text.includes("\ufffd") && !text.includes("\0");
        if (!exact) return `printf '${_escaped([...content], "'").replaceAll("%", "%%")}' | ${words.join(" ")} --data-binary @- ${quote(_url(exchange, "http"))}`;
        words.push("--data-raw", quote(text));
    }
    words.push(quote(_url(exchange, "http")));
    return words.join(" ");
}

/**
 * Write what the client sent as a call of netkit send, or of netkit ws.
 *
 * @param {any} exchange all of it.
 * @param {boolean} secrets whether nothing is masked.
 * @returns {Promise<string>} the command.
 */
export async function asNetkit(exchange, secrets) {
    if (exchange.type === "websocket") {
        const { messages } = await api.messages(exchange.id, -1, 1000);
        const sent = messages.filter((message) => message.fromClient && message.kind === "message" && message.text !== null);
        const lines = sent.map((message) => quote(message.text)).join(" ");
        return `${lines ? `printf '%s\\n' ${lines} | ` : ""}netkit ws ${quote(_url(exchange, "ws"))}`;
    }
    const octets = await sentOctets(exchange, secrets);
    return `printf '${_escaped([...octets], "'").replaceAll("\\'", "\\047").replaceAll("%", "%%")}' | netkit send ${quote(_endpoint(exchange))}`;
}

/**
 * Get what the client sent, octet by octet.
 *
 * @param {any} exchange all of it.
 * @param {boolean} secrets whether nothing is masked.
 * @returns {Promise<Uint8Array>} the octets.
 */
export function sentOctets(exchange, secrets) {
    if (exchange.type === "http" && exchange.request) return _all(api.paths.octets(exchange.id, "request", secrets));
    return _all(api.paths.stream(exchange.connection, exchange.role === "server" ? "received" : "sent", secrets));
}

/** @param {any} exchange all of it. @param {boolean} secrets as above. @returns {Promise<string>} what was sent, as text. */
export const asRaw = async (exchange, secrets) => decode(await sentOctets(exchange, secrets)).text;

/** @param {any} exchange an exchange. @returns {string} the endpoint string of its server. */
export const endpointOf = _endpoint;
