/**
 * The filter's language: words, all of which must match; the same as the API's, and is:marked.
 */

const _NUMBER = /^(<=|>=|<|>)?(\d+(?:\.\d+)?)([kmgt]?)$/;
const _UNITS = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const _lower = (text) => (text ?? "").toLowerCase();

// What a group of rows has in common is looked at once for each group; the rest once for each row.
const _GROUP = {
    service: (group) => group.service,
    type: (group) => group.type,
    method: (group) => group.method,
    role: (group) => group.role,
    how: (group) => group.how,
};
const _PART = {
    peer: (row) => row.peer,
    host: (row) => row.group.host,
    path: (row) => row.target,
    mime: (row) => row.group.mime,
    wrong: (row) => row.wrong,
};
const _FIGURE = {
    status: (row) => row.outcome,
    size: (row) => row.requestLength + row.responseLength,
    duration: (row) => row.duration,
    messages: (row) => row.messages,
};
const _IS = {
    error: (row) => row.group.marks.includes("error"),
    refused: (row) => row.group.marks.includes("refused"),
    fault: (row) => row.group.marks.includes("fault"),
    open: (row) => row.group.state === "open",
    done: (row) => row.group.state === "done",
    failed: (row) => row.group.state === "failed",
    http: (row) => row.group.type === "http",
    websocket: (row) => row.group.type === "websocket",
    tcp: (row) => row.group.type === "tcp",
    tls: (row) => row.group.tls !== null,
    again: (row) => row.again !== null,
    wrong: (row) => row.wrong !== "",
    noted: (row) => row.notes > 0,
    marked: (row) => row.marked,
};

/** What a word of the filter may begin with. */
export const KEYS = [...Object.keys(_GROUP), ...Object.keys(_PART), ...Object.keys(_FIGURE), "connection", "id", "text", "is"];
/** What may follow is:. */
export const STATES = Object.keys(_IS);

function _words(text) {
    const words = [];
    const pattern = /\s*((?:"(?:[^"\\]|\\.)*"?|[^\s"])+)/gy;
    for (const [, raw] of text.matchAll(pattern)) {
        const negated = /^[-!]./.test(raw);
        const body = negated ? raw.slice(1) : raw;
        const keyed = /^([a-z]+):(.*)$/is.exec(body);
        const plain = (part) => part.replace(/"((?:[^"\\]|\\.)*)"?/g, (_, inside) => inside.replace(/\\(.)/g, "$1"));
        if (keyed) words.push({ raw, negated, key: keyed[1].toLowerCase(), quoted: keyed[2].startsWith('"'), value: plain(keyed[2]) });
        else words.push({ raw, negated, key: null, value: plain(body) });
    }
    return words;
}

function _figure(key, value) {
    const range = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(value);
    if (range) return (figure) => figure >= Number(range[1]) && figure <= Number(range[2]);
    const hundreds = key === "status" && /^([1-9])xx$/.exec(value);
    if (hundreds) return (figure) => Math.floor(figure / 100) === Number(hundreds[1]) && figure < 1000;
    const found = _NUMBER.exec(value);
    if (!found) throw new Error(`${key}:${value} is no number, such as ${key}:>100`);
    const wanted = Number(found[2]) * _UNITS[found[3]];
    switch (found[1]) {
        case "<":
            return (figure) => figure < wanted;
        case "<=":
            return (figure) => figure <= wanted;
        case ">":
            return (figure) => figure > wanted;
        case ">=":
            return (figure) => figure >= wanted;
        default:
            return (figure) => figure === wanted;
    }
}

function _byGroup(test) {
    const known = new Map();
    return (group) => {
        let answer = known.get(group);
        if (answer === undefined) {
            answer = test(group);
            known.set(group, answer);
        }
        return answer;
    };
}

function _compile({ key, value, quoted }, content) {
    if (key === null) {
        const word = value.toLowerCase();
        const inGroup = _byGroup((group) => group.haystack.includes(word));
        return (row) => inGroup(row.group) || row.haystack.includes(word);
    }
    if (value === "") throw new Error(`${key}: wants a value`);
    const values = quoted ? [value.toLowerCase()] : value.toLowerCase().split(",").filter(Boolean);
    if (key in _GROUP) {
        const matches = _byGroup((group) => values.includes(_lower(_GROUP[key](group))));
        return (row) => matches(row.group);
    }
    if (key in _PART) return (row) => values.some((part) => _lower(_PART[key](row)).includes(part));
    if (key in _FIGURE) {
        const tests = values.map((each) => _figure(key, each));
        return (row) => {
            const figure = _FIGURE[key](row);
            return figure !== null && tests.some((test) => test(figure));
        };
    }
    if (key === "is") {
        const tests = values.map((each) => {
            if (!(each in _IS)) throw new Error(`is:${each} is none of ${STATES.join(", ")}`);
            return _IS[each];
        });
        return (row) => tests.some((test) => test(row));
    }
    if (key === "connection") return (row) => values.includes(String(row.connection));
    if (key === "id") return (row) => values.includes(row.id);
    if (key === "text") return (row) => content.has(row.id);
    throw new Error(`${key}: is none of ${KEYS.map((each) => `${each}:`).join(" ")}; write "${key}:${value}" to look for it`);
}

/**
 * Make a filter of what somebody typed.
 *
 * @param {string} text the words.
 * @param {Set<string>} content the ids of rows whose content matches the words with text:.
 * @returns {{matches: (row: import("./rows.js").Row) => boolean, content: string, words: object[]}} whether a row
 *     matches; the words with text:, which only the API can answer, empty where there are none; all words.
 * @throws {Error} with what is wrong.
 */
export function parse(text, content) {
    const words = _words(text);
    const tests = [];
    const asked = [];
    for (const word of words) {
        const test = _compile(word, content);
        if (word.key === "text") {
            // The API answers the whole word, "not" included.
            asked.push(word.raw);
            tests.push(test);
        } else {
            tests.push(word.negated ? (row) => !test(row) : test);
        }
    }
    const matches = tests.length === 1 ? tests[0] : (row) => tests.every((test) => test(row));
    return { matches, content: asked.join(" "), words };
}

/**
 * Say whether all that matches a filter matches another one as well: mostly, somebody types one more letter.
 *
 * @param {object[]} before the words of the other one.
 * @param {object[]} words those of the filter.
 * @returns {boolean} whether only rows that were shown need be looked at; false where that is not known.
 */
export function narrows(before, words) {
    return before.length <= words.length && before.every((word, index) => _narrows(word, words[index]));
}

function _narrows(before, word) {
    // What the API answers comes later.
    if (before.key === "text") return false;
    if (before.raw === word.raw) return true;
    const part = before.key === null || (before.key in _PART && !/[",]/.test(before.raw + word.raw));
    return part && before.key === word.key && !before.negated && !word.negated && word.value.toLowerCase().startsWith(before.value.toLowerCase());
}

/**
 * Put a word into a filter, or take it out.
 *
 * @param {string} text the filter.
 * @param {string} word a word.
 * @param {string[]} [others] words that cannot stand beside it.
 * @returns {string} the filter with it, or without it.
 */
export function toggle(text, word, others = []) {
    const words = _words(text).map((each) => each.raw);
    const without = words.filter((each) => each !== word && !others.includes(each));
    return (words.includes(word) ? without : [...without, word]).join(" ");
}

/** @param {string} text a filter. @param {string} word a word. @returns {boolean} whether it stands in it. */
export const has = (text, word) => _words(text).some((each) => each.raw === word);
