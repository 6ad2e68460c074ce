/**
 * The page: its parts, and what they tell each other.
 */

import * as api from "./api.js";
import { Charts } from "./charts.js";
import { compose } from "./compose.js";
import * as copies from "./copy.js";
import { Detail } from "./detail.js";
import { openMenu, toast } from "./dialogs.js";
import { byId, h } from "./dom.js";
import { Feed } from "./feed.js";
import { KEYS, STATES, has, narrows, parse, toggle } from "./filter.js";
import { count, size } from "./format.js";
import * as keys from "./keys.js";
import { List } from "./list.js";
import { Rows } from "./rows.js";
import { Services } from "./services.js";
import { applyTheme, set, setting } from "./settings.js";
import { split } from "./split.js";
import { View } from "./view.js";

const _TYPES = ["is:http", "is:websocket", "is:tcp"];
const _CHIPS = [
    ["is:http", "HTTP"],
    ["is:websocket", "WebSocket"],
    ["is:tcp", "TCP"],
    ["is:error", "Errors"],
    ["is:refused", "Refused"],
    ["is:fault", "Faults"],
    ["is:open", "Open"],
    ["is:marked", "Marked"],
];
const _SEARCH = 250;
const _OVERVIEW = 2000;

applyTheme();

const rows = new Rows();
const view = new View(rows);
const charts = new Charts(byId("charts"));
const input = byId("filter");
const matching = new Set();
const detail = new Detail(byId("detail"), (name, event) => commands[name].run(event));
const figures = { events: 0, skipped: 0, behind: 0, overview: null };
let services = new Services(false);
let readOnly = false;
let content = "";
let unseen = 0;
let wanted = null;

const list = new List(byId("list"), {
    rows: () => view.rows,
    newestFirst: () => setting("newest") === "first",
    selected: (row) => {
        detail.show(row);
        byId("splitter").hidden = row === null;
        document.body.classList.toggle("detailed", row !== null);
        _remember();
    },
    held: (held) => {
        if (!held) unseen = 0;
        _press("follow", !held);
        _showNewer();
    },
});

// Drawing: at most once a frame, whatever comes.

let drawing = false;
let acknowledged = 0;
let newest = 0;

function draw() {
    if (drawing) return;
    drawing = true;
    // A page that nobody looks at has no frames.
    if (document.hidden) setTimeout(_draw, 200);
    else requestAnimationFrame(_draw);
}

function _draw() {
    drawing = false;
    list.draw();
    detail.changed();
    _showFigures();
    _showNewer();
    if (feed.sequence > acknowledged) {
        acknowledged = feed.sequence;
        feed.acknowledge(acknowledged);
    }
    if (newest) {
        dispatchEvent(new CustomEvent("netkit:drawn", { detail: { newest, rows: rows.all.length, events: figures.events } }));
        newest = 0;
    }
}

function _showFigures() {
    const { overview } = figures;
    const parts = [
        `${count(view.rows.length)}${view.rows.length === rows.all.length ? "" : ` of ${count(rows.all.length)}`} ${rows.all.length === 1 ? "row" : "rows"}`,
        `${count(figures.events)} events`,
        figures.skipped && `${count(figures.skipped)} rows skipped`,
        figures.behind && `${count(figures.behind)} events behind`,
        overview && `${size(overview.ring.used)} of ${size(overview.ring.limit)} kept`,
        overview?.ring.evicted.connections && `${count(overview.ring.evicted.connections)} connections evicted`,
        overview?.recording && overview.recording,
        readOnly && "read-only",
        overview && `netkit ${overview.version}`,
    ].filter(Boolean);
    const element = byId("figures");
    while (element.children.length < parts.length) element.append(h("span"));
    while (element.children.length > parts.length) element.lastChild.remove();
    parts.forEach((part, index) => {
        if (element.children[index].textContent !== part) element.children[index].textContent = part;
    });
    const empty = byId("empty");
    empty.hidden = view.rows.length > 0;
    if (!empty.hidden) {
        const text = rows.all.length ? "No row matches the filter." : _listening();
        if (empty.firstElementChild.textContent !== text) empty.firstElementChild.textContent = text;
    }
}

function _listening() {
    const known = figures.overview?.services ?? [];
    const first = known.find((service) => service.name === "http" && service.addresses.length) ?? known.find((service) => service.addresses.length);
    if (!first) return "Nothing has come yet.";
    return `Nothing has come yet. Try: ${first.name === "http" ? `curl http://${first.addresses[0]}/` : `netkit send tcp:${first.addresses[0]} hello`}`;
}

function _showNewer() {
    const element = byId("newer");
    const hidden = list.following || unseen === 0;
    if (element.hidden !== hidden) element.hidden = hidden;
    if (!hidden) element.textContent = `${count(unseen)} newer ${setting("newest") === "first" ? "\u2191" : "\u2193"}`;
}

// The feed.

const feed = new Feed({
    state: (state) => {
        const element = byId("state");
        element.className = `state ${state}`;
        element.textContent = { live: "live", paused: "paused", connecting: "connecting", lost: "connection lost" }[state];
        _press("pause", state === "paused");
    },
    hello: (message) => {
        readOnly = message.readOnly;
        services = new Services(readOnly);
        for (const name of ["clear", "compose", "again", "edit"]) commands[name].disabled = readOnly;
        for (const element of document.querySelectorAll("[data-command]")) element.disabled = Boolean(commands[element.dataset.command].disabled);
        _overview();
    },
    reset: _forget,
    clear: _forget,
    rows: (message) => {
        const before = view.rows.length;
        rows.apply(message.rows, (row) => {
            view.changed(row);
            newest = Math.max(newest, row.started + (row.duration ?? 0));
        });
        if (!list.following) unseen += Math.max(0, view.rows.length - before);
        const first = rows.trim();
        if (first) list.dropped(view.trimmed(first));
        figures.events = message.events;
        figures.skipped += message.skipped;
        figures.behind = message.behind;
        if (wanted && rows.get(wanted)) {
            const row = rows.get(wanted);
            wanted = null;
            list.select(row);
        }
        draw();
    },
    stats: (message) => {
        charts.add(message.seconds);
        draw();
    },
    services: (message) => services.show(message.services),
    error: (message) => toast(message.error, true),
});

function _forget() {
    acknowledged = 0;
    rows.clear();
    view.clear();
    figures.skipped = 0;
    unseen = 0;
    list.select(null);
    draw();
}

async function _overview() {
    try {
        figures.overview = await api.overview();
        draw();
    } catch {
        // The feed says that the connection is lost.
    }
}

setInterval(() => document.hidden || _overview(), _OVERVIEW);

// The filter.

let searching = null;
let words = [];

function filter() {
    const trouble = byId("trouble");
    try {
        const parsed = parse(input.value, matching);
        trouble.textContent = "";
        input.removeAttribute("aria-invalid");
        if (parsed.content !== content) {
            content = parsed.content;
            matching.clear();
            _search();
        }
        view.filter(parsed.matches, narrows(words, parsed.words));
        words = parsed.words;
    } catch (error) {
        trouble.textContent = error.message;
        input.setAttribute("aria-invalid", "true");
    }
    unseen = 0;
    for (const chip of byId("chips").children) chip.setAttribute("aria-pressed", String(has(input.value, chip.dataset.word)));
    list.draw();
    _showFigures();
    _remember();
}

/** Ask again and again who has it in its content, as long as that is asked for. */
async function _search() {
    searching?.abort();
    searching = new AbortController();
    const { signal } = searching;
    while (content && !signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, _SEARCH));
        if (signal.aborted) return;
        try {
            const { ids } = await api.matching(content, signal);
            if (signal.aborted) return;
            if (ids.length !== matching.size || ids.some((id) => !matching.has(id))) {
                matching.clear();
                for (const id of ids) matching.add(id);
                view.filter(parse(input.value, matching).matches);
                draw();
            }
        } catch (error) {
            if (error.name !== "AbortError") byId("trouble").textContent = error.message;
            if (error.status) return;
        }
        await new Promise((resolve) => setTimeout(resolve, _OVERVIEW));
    }
}

function _remember() {
    const state = new URLSearchParams();
    if (input.value) state.set("filter", input.value);
    if (list.selected) state.set("row", list.selected.id);
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname);
}

function _recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    input.value = state.get("filter") ?? "";
    wanted = state.get("row");
}

// Commands.

function _press(name, pressed) {
    document.querySelector(`[data-command=${name}]`).setAttribute("aria-pressed", String(pressed));
}

async function _try(action) {
    try {
        await action();
    } catch (error) {
        toast(error.message, true);
    }
}

function _sent(answer) {
    const row = rows.get(answer.exchange);
    if (row) list.select(row);
    else wanted = answer.exchange;
    toast(`Sent to ${answer.to}`);
}

const _shown = () => (input.value ? { ids: view.rows.map((row) => row.id) } : {});

function _save(format) {
    return _try(async () => {
        if (!view.rows.length) throw new Error("There is nothing to save.");
        const { name, content: file } = await api.exportFile({ format, ..._shown(), secrets: detail.secrets });
        const address = URL.createObjectURL(file);
        h("a", { href: address, download: name }).click();
        setTimeout(() => URL.revokeObjectURL(address), 10000);
        toast(`Saved ${name}`);
    });
}

async function _copy(what, make) {
    await _try(async () => {
        const text = await make(detail.exchange, detail.secrets);
        await navigator.clipboard.writeText(text);
        toast(`Copied ${what}`);
    });
}

const _needs = (action) => async (event) => {
    if (!list.selected) {
        toast("Select a row first.");
        return;
    }
    await detail.loaded;
    if (detail.exchange) action(event);
};

const commands = {
    find: { label: "Filter", key: "/", run: () => input.select() },
    pause: { label: "Pause", key: "p", run: () => feed.pause(!feed.paused) },
    follow: { label: "Follow the newest", key: "f", run: () => (list.following = !list.following) },
    order: {
        label: "Newest first, or last",
        key: "o",
        run: () => {
            set("newest", setting("newest") === "first" ? "last" : "first");
            list.following = true;
            toast(`Newest ${setting("newest")}`);
        },
    },
    mark: {
        label: "Mark a row",
        key: "m",
        run: () => {
            const row = list.selected;
            if (!row) return;
            row.marked = !row.marked;
            view.changed(row);
            byId("detail-mark")?.setAttribute("aria-pressed", String(row.marked));
            draw();
        },
    },
    clear: { label: "Clear", key: "X", run: () => _try(() => api.clear()) },
    again: { label: "Send again", key: "r", run: _needs(() => _try(async () => _sent(await api.send({ exchange: detail.exchange.id })))) },
    edit: { label: "Edit and send again", key: "e", run: _needs(() => _try(() => compose(detail.exchange, detail.secrets, "", _sent))) },
    compose: {
        label: "Send something new",
        key: "n",
        run: () => {
            const to = figures.overview?.services.find((service) => service.name === "http")?.addresses[0];
            _try(() => compose(null, false, to ? `tcp:${to}` : "", _sent));
        },
    },
    copy: {
        label: "Copy\u2026",
        key: "c",
        run: _needs(() => {
            const { type, request } = detail.exchange;
            const netkit = [type === "websocket" ? "as netkit ws" : "as netkit send", () => _copy("as a netkit command", copies.asNetkit)];
            const curl = ["as curl", () => _copy("as curl", copies.asCurl)];
            const items = type === "http" && request ? [curl, netkit] : [netkit];
            items.push(["as raw text", () => _copy("what was sent", copies.asRaw)]);
            openMenu(byId("detail-copy"), items);
        }),
    },
    hex: { label: "Hex", key: "h", run: _needs(() => detail.toggleHex()) },
    secrets: { label: "Show secrets, or mask them", key: "s", run: _needs(() => detail.toggleSecrets()) },
    har: { label: "Save what is shown as HAR", key: "H", run: () => _save("har") },
    pcapng: { label: "Save what is shown as pcapng", key: "P", run: () => _save("pcapng") },
    services: { label: "Answers and faults", key: "a", run: () => services.open() },
    theme: {
        label: "Light, dark, or as the system",
        key: "t",
        run: () => {
            const themes = ["auto", "light", "dark"];
            set("theme", themes[(themes.indexOf(setting("theme")) + 1) % themes.length]);
            applyTheme();
            charts.draw();
            toast(`Theme: ${setting("theme")}`);
        },
    },
    help: { label: "Keys and filters", key: "?", run: () => keys.help(commands) },
    close: { label: "Close the detail", run: () => _close() },
};

function _close() {
    list.select(null);
    byId("list").focus();
}

function _escape() {
    if (document.activeElement === input) byId("list").focus();
    else if (list.selected) _close();
}

const _step = (steps) => () => list.move(steps);

keys.listen(commands, {
    ArrowDown: _step(1),
    ArrowUp: _step(-1),
    j: _step(1),
    k: _step(-1),
    PageDown: () => list.move(list.page),
    PageUp: () => list.move(-list.page),
    Home: _step(-Infinity),
    End: _step(Infinity),
    Enter: () => byId("panel")?.focus(),
    "[": _needs(() => detail.turn(-1)),
    "]": _needs(() => detail.turn(1)),
    Escape: _escape,
});

for (const element of document.querySelectorAll("[data-command]")) {
    const command = commands[element.dataset.command];
    element.title = command.key ? `${command.label} (${command.key})` : command.label;
    element.setAttribute("aria-label", command.label);
    if (command.key) element.setAttribute("aria-keyshortcuts", command.key);
    element.addEventListener("click", (event) => command.run(event));
}
for (const [word, label] of _CHIPS) {
    byId("chips").append(
        h("button", { type: "button", class: "chip", "data-word": word, "aria-pressed": "false", onclick: () => {
            input.value = toggle(input.value, word, _TYPES.includes(word) ? _TYPES.filter((each) => each !== word) : []);
            filter();
        } }, label),
    );
}
byId("words").append(...KEYS.filter((key) => key !== "is").map((key) => h("option", { value: `${key}:` })), ...STATES.map((state) => h("option", { value: `is:${state}` })));
byId("newer").addEventListener("click", () => (list.following = true));
input.addEventListener("input", filter);
input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") byId("list").focus();
});
split(byId("splitter"), byId("main"));
_recall();
filter();
feed.open();
