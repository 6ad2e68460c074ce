/**
 * The bar between the list and the detail, moved by hand or by keys.
 */

import { set, setting } from "./settings.js";

/**
 * Have a bar change how much room the detail has.
 *
 * @param {HTMLElement} bar the bar.
 * @param {HTMLElement} main what holds both.
 */
export function split(bar, main) {
    const apply = (share) => {
        const held = Math.max(0.2, Math.min(0.8, share));
        main.style.setProperty("--split", `${held * 100}%`);
        bar.setAttribute("aria-valuenow", String(Math.round(held * 100)));
        set("split", held);
    };
    bar.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        bar.setPointerCapture(event.pointerId);
    });
    bar.addEventListener("pointermove", (event) => {
        if (!bar.hasPointerCapture(event.pointerId)) return;
        const place = main.getBoundingClientRect();
        apply(getComputedStyle(main).flexDirection === "column" ? (place.bottom - event.clientY) / place.height : (place.right - event.clientX) / place.width);
    });
    bar.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: 0.03, ArrowUp: 0.03, ArrowRight: -0.03, ArrowDown: -0.03 }[event.key];
        if (!step) return;
        event.preventDefault();
        apply(setting("split") + step);
    });
    apply(setting("split"));
}
