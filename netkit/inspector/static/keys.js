/**
 * The keyboard: every command has a key, and one overlay that says which.
 */

import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { set, setting } from "./settings.js";

const _MOVES = [
    ["\u2191 \u2193 j k", "Previous, next row"],
    ["PageUp PageDown", "A page up, down"],
    ["Home End", "First, last row"],
    ["Enter", "To the detail"],
    ["[ ]", "Previous, next tab of the detail"],
    ["Esc", "Close the detail; leave the filter"],
];

/**
 * Listen to keys.
 *
 * @param {Object<string, {label: string, key?: string, run: (event: Event) => void}>} commands by their names.
 * @param {Object<string, (event: KeyboardEvent) => void>} moves what other keys do, by KeyboardEvent.key.
 */
export function listen(commands, moves) {
    const byKey = new Map(Object.values(commands).filter((command) => command.key).map((command) => [command.key, command]));
    document.addEventListener("keydown", (event) => {
        if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
        const typing = event.target.closest("input:not([type=radio]), textarea, select");
        if (document.querySelector("dialog[open]") || event.target.closest(".menu")) return;
        if (event.key === "Escape" || !typing) {
            const inside = event.target.closest(".panel, .window") && /^(Arrow|Page|Home|End)/.test(event.key);
            const pressing = event.target.closest("button, a, [role=separator], input") && /^(Enter| |Arrow.*)$/.test(event.key);
            const letter = event.key.length === 1;
            if (inside || pressing || (letter && !setting("letters") && event.key !== "?")) return;
            const act = moves[event.key] ?? byKey.get(event.key)?.run;
            if (!act) return;
            event.preventDefault();
            act(event);
        }
    });
}

/**
 * Say what the keys do.
 *
 * @param {Object<string, {label: string, key?: string}>} commands by their names.
 */
export function help(commands) {
    const key = (keys, label) => h("tr", {}, h("th", { scope: "row" }, ...keys.split(" ").map((each) => h("kbd", {}, each))), h("td", {}, label));
    const letters = h("input", { type: "checkbox", checked: setting("letters"), onchange: () => set("letters", letters.checked) });
    const words = [
        ["hello", "in method, path, status, service, peer, type"],
        ["-hello", "not so"],
        ["status:4xx  status:>=400", "a class, a comparison, a list with commas"],
        ["service:http  method:GET", "exactly"],
        ["path:/a  peer:127.0  mime:json", "a part"],
        ["size:>10k  duration:>0.5", "octets, seconds"],
        ["is:error  is:websocket  is:marked", "also open, refused, fault, tls, tcp, again, noted"],
        ["text:hello", "in what was sent or received"],
    ];
    openDialog(
        "Keys and filters",
        "help",
        h("div", { class: "columns" },
            h("table", { class: "keys" }, h("caption", {}, "Keys"), h("tbody", {}, ..._MOVES.map(([keys, label]) => key(keys, label)), ...Object.values(commands).filter((command) => command.key).map((command) => key(command.key, command.label)))),
            h("table", { class: "keys" }, h("caption", {}, "Filter: all words must match"), h("tbody", {}, ...words.map(([word, label]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, word)), h("td", {}, label))))),
        ),
        h("label", { class: "check" }, letters, " Single letters are keys"),
    );
}
