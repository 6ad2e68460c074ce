/**
 * Figures and texts as people read them.
 */

const _counts = new Intl.NumberFormat("en");

/** @param {number} value a number. @returns {string} as 1,234. */
export const count = (value) => _counts.format(value);

/**
 * Write a number of octets.
 *
 * @param {number} octets how many.
 * @returns {string} such as "999 B" and "1.5 KiB".
 */
export function size(octets) {
    if (octets < 1024) return `${octets} B`;
    let value = octets;
    let unit = -1;
    do {
        value /= 1024;
        unit += 1;
    } while (value >= 1023.5 && unit < 4);
    return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${"KMGTP"[unit]}iB`;
}

/**
 * Write a duration.
 *
 * @param {number|null} seconds how long.
 * @returns {string} such as "35 µs", "1.2 ms", "3.45 s" and "2 min 5 s"; nothing for null.
 */
export function duration(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 0.0009995) return `${Math.round(seconds * 1e6)} µs`;
    if (seconds < 0.00995) return `${(seconds * 1e3).toFixed(1)} ms`;
    if (seconds < 0.9995) return `${Math.round(seconds * 1e3)} ms`;
    if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
    if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const _two = (value) => String(value).padStart(2, "0");

/**
 * Write a time of the day, where the browser is.
 *
 * @param {number} seconds since the epoch.
 * @returns {string} as 12:34:56.789.
 */
export function time(seconds) {
    const date = new Date(seconds * 1000);
    const clock = `${_two(date.getHours())}:${_two(date.getMinutes())}:${_two(date.getSeconds())}`;
    return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {number} seconds since the epoch. @returns {string} the date and the time, to the microsecond. */
export function moment(seconds) {
    const date = new Date(seconds * 1000);
    const day = `${date.getFullYear()}-${_two(date.getMonth() + 1)}-${_two(date.getDate())}`;
    const clock = `${_two(date.getHours())}:${_two(date.getMinutes())}:${_two(date.getSeconds())}`;
    const fraction = Math.round((seconds - Math.floor(seconds)) * 1e6);
    return `${day} ${clock}.${String(Math.min(fraction, 999999)).padStart(6, "0")}`;
}

// What is invisible or turns the text around it: control characters, directions, byte order marks, lone surrogates.
const _INVISIBLE =
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udfff]/g;

function _picture(character) {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}

/**
 * Have every character of a text seen, on one line: control characters as their pictures, others that cannot
 * be seen by number, so that no peer hides or turns around what it sent.
 *
 * @param {string} text what a peer sent.
 * @returns {string} the same, harmless.
 */
export const visible = (text) => text.replace(_INVISIBLE, _picture);

/**
 * As visible(), on several lines: LF breaks a line, CR LF too, and tabs stay.
 *
 * @param {string} text what a peer sent.
 * @param {boolean} [exact] whether the ends of lines are seen as well.
 * @returns {string} the same, harmless.
 */
export function visibleLines(text, exact = false) {
    return text.replace(_INVISIBLE, (character) => {
        if (character === "\n") return exact ? "\u240a\n" : "\n";
        if (character === "\t") return "\t";
        if (character === "\r") return exact ? "\u240d" : "";
        return _picture(character);
    });
}

/**
 * Shorten a text without keeping all of it in memory, as a slice of it would.
 *
 * @param {string} text a text.
 * @param {number} limit how many characters stay.
 * @returns {string} the beginning.
 */
export function shorten(text, limit) {
    if (text.length <= limit) return text;
    return `${Array.from(text.slice(0, limit)).join("")}\u2026`;
}
