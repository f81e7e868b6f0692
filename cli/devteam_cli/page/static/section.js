// A part of a page: its title, how much there is, and what to do when there is nothing.

import { el, fill, say } from "./dom.js";
import { count } from "./words.js";

/** A section around `body`; `title` is said as it is. */
export function section(title, body, name) {
  const note = el("span", { class: "note" });
  const node = el("section", { class: name }, el("h2", {}, title, note), body);
  return { node, note };
}

/** What is said in place of a list that is empty: `words`, then a command to type. */
export function nothing(words, command = "") {
  const typed = command ? el("code", {}, command) : null;
  const node = el("p", { class: "empty" }, words, typed ? " " : null, typed);
  node.hidden = true;
  return node;
}

/** A list that shows at most `most` items, and more when asked. `draw(items)` as for `fill`. */
export function capped(list, keyOf, make, most) {
  let shown = most;
  const more = el("button", { class: "more", type: "button" });
  more.hidden = true;
  let draw = () => {};
  more.addEventListener("click", () => {
    shown += most * 4;
    draw();
  });
  return {
    more,
    draw(items, others = 0) {
      draw = () => {
        fill(list, items.slice(0, shown), keyOf, make);
        const hidden = Math.max(items.length - shown, 0) + others;
        more.hidden = hidden === 0;
        more.disabled = items.length <= shown;
        say(more, `and ${count(hidden)} more`);
      };
      draw();
    },
  };
}

/** A state: its colour and its word. */
export function stateMark(state = "") {
  const word = el("span");
  const node = el("span", { class: "state" }, el("i", { "aria-hidden": "true" }), word);
  const update = (now, words = now) => {
    node.dataset.state = now;
    say(word, words);
  };
  update(state);
  return { node, update };
}

/** How much of something is used. */
export function bar(label) {
  const used = el("i");
  const node = el("span", { class: "bar", role: "img" }, used);
  return {
    node,
    update(part, whole, words) {
      const share = whole > 0 ? Math.min(part / whole, 1) : 0;
      used.style.width = `${(share * 100).toFixed(1)}%`;
      node.setAttribute("aria-label", `${label}: ${words}`);
      node.dataset.full = share >= 0.9;
    },
  };
}
