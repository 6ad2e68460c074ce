/**
 * Content as people read it: indented, token by token, so that no number is rounded and no member lost.
 */

/** How long a text may be to be indented. */
export const INDENTED = 2 << 20;

const _JSON = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/**
 * Indent JSON.
 *
 * @param {string} text JSON, or nearly.
 * @returns {string|null} the same in lines; null where it is no JSON.
 */
export function json(text) {
    try {
        JSON.parse(text);
    } catch {
        return null;
    }
    const parts = [];
    let depth = 0;
    let opened = false;
    const line = () => parts.push("\n", "  ".repeat(Math.min(depth, 100)));
    for (const [token] of text.matchAll(_JSON)) {
        if (token === "}" || token === "]") {
            depth -= 1;
            if (!opened) line();
            parts.push(token);
            opened = false;
            continue;
        }
        if (opened) line();
        opened = token === "{" || token === "[";
        parts.push(token);
        if (opened) depth += 1;
        else if (token === ",") line();
        else if (token === ":") parts.push(" ");
    }
    return parts.join("");
}

/**
 * Indent XML or HTML: a line for each tag; what is between them stays.
 *
 * @param {string} text markup.
 * @returns {string} the same in lines.
 */
export function xml(text) {
    const lines = [];
    let depth = 0;
    for (const [token] of text.matchAll(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<[^>]*>|[^<]+/g)) {
        const trimmed = token.trim();
        if (!trimmed) continue;
        if (trimmed.startsWith("</")) depth = Math.max(0, depth - 1);
        const last = lines.length - 1;
        // <a>text</a> stays on a line.
        if (trimmed.startsWith("</") && last > 0 && lines[last].leaf) {
            lines[last - 1].text += lines[last].text.trim() + trimmed;
            lines[last - 1].leaf = false;
            lines.pop();
            continue;
        }
        const opens = /^<[^/!?]/.test(trimmed) && !trimmed.endsWith("/>");
        const leaf = !trimmed.startsWith("<") && last >= 0 && lines[last].opens && !trimmed.includes("\n");
        lines.push({ text: "  ".repeat(Math.min(depth, 100)) + trimmed, opens, leaf });
        if (opens) depth += 1;
    }
    return lines.map((each) => each.text).join("\n");
}

/**
 * Take a form apart.
 *
 * @param {string} text application/x-www-form-urlencoded.
 * @returns {Array<[string, string]>} its names and values, in order.
 */
export const form = (text) => [...new URLSearchParams(text)];

/**
 * Say how content is best shown.
 *
 * @param {string|null} type its Content-Type.
 * @returns {"json"|"xml"|"form"|"image"|"text"} how.
 */
export function kind(type) {
    const mime = (type ?? "").split(";")[0].trim().toLowerCase();
    if (/[/+]json$/.test(mime) || mime === "application/x-ndjson") return "json";
    if (/[/+]xml$/.test(mime) && mime !== "image/svg+xml") return "xml";
    if (mime === "text/html" || mime === "image/svg+xml") return "xml";
    if (mime === "application/x-www-form-urlencoded") return "form";
    if (/^image\/(png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)$/.test(mime)) return "image";
    return "text";
}

const _TOKENS = {
    json: /("(?:[^"\\\n]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)/g,
    xml: /(<[!?/]?[\w:.-]+|\/?>|\?>)|("[^"\n]*")/g,
};

/**
 * Colour a text.
 *
 * @param {HTMLElement} element where it goes.
 * @param {string} text the text.
 * @param {string} language "json", "xml", or anything else for none.
 */
export function colour(element, text, language) {
    const pattern = _TOKENS[language];
    if (!pattern) {
        element.append(text);
        return;
    }
    let at = 0;
    for (const found of text.matchAll(pattern)) {
        const token = found[language === "json" && found[1] ? 1 : 0];
        const kind =
            language === "xml" ? (found[1] ? "tag" : "string") : found[1] ? (found[2] ? "key" : "string") : found[3] ? "word" : "number";
        if (found.index > at) element.append(text.slice(at, found.index));
        const span = document.createElement("span");
        span.className = kind;
        span.textContent = token;
        element.append(span);
        at = found.index + token.length;
    }
    element.append(text.slice(at));
}
