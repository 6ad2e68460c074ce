/**
 * Octets as text, and as a hex dump.
 */

import { h } from "./dom.js";

const _HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/**
 * Read octets as text.
 *
 * @param {Uint8Array} octets the octets.
 * @param {string|null} [type] a Content-Type that names the charset.
 * @returns {{text: string, clean: boolean}} the text, and whether all of it could be read.
 */
export function decode(octets, type = null) {
    const charset = /charset="?([^;"\s]+)/i.exec(type ?? "")?.[1] ?? "utf-8";
    let decoder;
    try {
        decoder = new TextDecoder(charset, { ignoreBOM: true });
    } catch {
        decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    }
    const text = decoder.decode(octets);
    let strange = 0;
    // eslint-disable-next-line no-control-regex
    for (const _ of text.slice(0, 4096).matchAll(/[\ufffd\u0000-\u0008\u000e-\u001f]/g)) strange += 1;
    return { text, clean: strange * 20 <= Math.min(text.length, 4096) };
}

/** @param {string} base64 octets in base64. @returns {Uint8Array} the octets. */
export const fromBase64 = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** @param {Uint8Array} octets octets. @returns {string} them in base64. */
export function toBase64(octets) {
    let binary = "";
    for (let at = 0; at < octets.length; at += 32768) binary += String.fromCharCode(...octets.subarray(at, at + 32768));
    return btoa(binary);
}

/**
 * Make a hex dump: offsets, octets, and what of them is ASCII, each a column that is selected alone.
 *
 * @param {Uint8Array} octets the octets.
 * @param {number} [first] the offset of the first one.
 * @param {number|null} [wrong] the offset of one to point at.
 * @returns {HTMLElement} the dump.
 */
export function hexDump(octets, first = 0, wrong = null) {
    const offsets = [];
    const columns = [[], []];
    for (let at = 0; at < octets.length; at += 16) {
        offsets.push((first + at).toString(16).padStart(8, "0"));
        const line = octets.subarray(at, at + 16);
        let hex = "";
        let ascii = "";
        for (let index = 0; index < line.length; index++) {
            hex += (index === 8 ? "  " : index ? " " : "") + _HEX[line[index]];
            ascii += line[index] >= 32 && line[index] < 127 ? String.fromCharCode(line[index]) : "\u00b7";
        }
        columns[0].push(hex);
        columns[1].push(ascii);
    }
    const at = wrong === null ? -1 : wrong - first;
    return h(
        "div",
        { class: "hex" },
        h("pre", { class: "offsets", "aria-hidden": "true" }, offsets.join("\n")),
        _column(columns[0], at, (index) => index * 3 + (index >= 8 ? 1 : 0), 2),
        _column(columns[1], at, (index) => index, 1),
    );
}

function _column(lines, at, place, width) {
    const row = at >> 4;
    if (at < 0 || row >= lines.length) return h("pre", {}, lines.join("\n"));
    const column = place(at & 15);
    const before = [...lines.slice(0, row), lines[row].slice(0, column)].join("\n");
    const after = [lines[row].slice(column + width), ...lines.slice(row + 1)].join("\n");
    return h("pre", {}, before, h("mark", { class: "wrong", title: "here it stopped being understood" }, lines[row].slice(column, column + width)), after);
}
