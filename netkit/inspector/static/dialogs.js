/**
 * What opens above the page, and closes with Escape.
 */

import { button, h } from "./dom.js";

/**
 * Open a dialog.
 *
 * @param {string} title what it is called.
 * @param {string} kind its class.
 * @param {...(Node|string)} children what is in it.
 * @returns {HTMLDialogElement} the dialog, which is gone when it is closed.
 */
export function openDialog(title, kind, ...children) {
    const dialog = h("dialog", { class: kind, "aria-label": title });
    const close = button({ label: "Close", icon: "close", class: "small" }, () => dialog.close());
    dialog.append(h("header", {}, h("h2", {}, title), close), h("div", { class: "inside" }, ...children));
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => {
        if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}

/**
 * Offer a few things beside a button.
 *
 * @param {Element} anchor the button.
 * @param {Array<[string, () => void]>} items what they are called, and what they do.
 */
export function openMenu(anchor, items) {
    document.querySelector(".menu")?.remove();
    const menu = h("div", { class: "menu", role: "menu", popover: "auto" });
    for (const [label, act] of items) {
        menu.append(
            h("button", { type: "button", role: "menuitem", onclick: () => {
                menu.hidePopover();
                act();
            } }, label),
        );
    }
    menu.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        const all = [...menu.children];
        all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    });
    menu.addEventListener("toggle", (event) => {
        if (event.newState === "closed") {
            menu.remove();
            anchor.focus?.();
        }
    });
    document.getElementById("main").append(menu);
    const place = anchor.getBoundingClientRect();
    menu.showPopover();
    menu.style.top = `${Math.min(place.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
    menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.firstElementChild.focus();
}

/**
 * Say something for a moment.
 *
 * @param {string} text one line.
 * @param {boolean} [bad] whether it is about a failure.
 */
export function toast(text, bad = false) {
    const element = h("p", { class: bad ? "toast bad" : "toast" }, text);
    const place = document.querySelector("dialog[open] .inside") ?? document.getElementById("toasts");
    place.append(element);
    setTimeout(() => element.remove(), bad ? 6000 : 2500);
}
