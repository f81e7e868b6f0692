// The whole mesh on one page.

import { el } from "./dom.js";
import { figures } from "./figures.js";
import { queues } from "./queues.js";
import { recent } from "./recent.js";
import { tasks } from "./tasks.js";
import { workers } from "./workers.js";

/** The view at "#/". */
export function overview(dirty) {
  document.title = "DevTeam";
  const parts = [figures(), tasks(), queues(), workers(), recent(dirty)];
  const [top, now, lines, fleet, past] = parts.map((part) => part.node);
  return {
    node: el("div", { class: "overview" }, top, el("div", { class: "columns" }, now, lines), fleet, past),
    draw: () => parts.forEach((part) => part.draw()),
    close: () => parts.forEach((part) => part.close?.()),
  };
}
