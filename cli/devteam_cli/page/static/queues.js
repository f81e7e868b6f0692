// Queues, and the models that providers keep waiting.

import { el, say } from "./dom.js";
import { mesh, now } from "./mesh.js";
import { bar, capped, nothing, section } from "./section.js";
import { age, count, line, many, since, ticking } from "./words.js";

const MOST = 20;

/** Every queue: what waits, what runs, what could. */
export function queues() {
  const list = el("ul", { class: "rows queues" });
  const held = el("ul", { class: "rows held" });
  const empty = nothing("No queues: no worker serves one and nothing waits.");
  const rows = capped(list, (queue) => queue.name, queueRow, MOST);
  const throttles = capped(held, (throttle) => throttle.model, throttleRow, MOST);
  const body = el("div", { class: "panel" }, list, rows.more, held, throttles.more, empty);
  const { node, note } = section("Queues", body, "lines");
  return {
    node,
    draw() {
      const shown = [...mesh.queues.values()].sort((a, b) => b.waiting - a.waiting || a.name.localeCompare(b.name));
      rows.draw(shown);
      throttles.draw([...mesh.throttles.values()]);
      say(note, shown.length ? count(shown.length) : "");
      empty.hidden = !mesh.told || shown.length > 0;
    },
  };
}

function queueRow() {
  const name = el("bdi", { class: "name" });
  const paused = el("span", { class: "tag warn" }, "paused");
  const waiting = el("b", { class: "number" });
  const oldest = el("span", { class: "soft" });
  const slots = bar("slots");
  const words = el("span", { class: "soft" });
  const top = el("div", { class: "pair" }, el("span", {}, name, " ", paused), el("span", {}, waiting, " ", oldest));
  const node = el("li", {}, top, slots.node, words);
  return {
    node,
    update(queue) {
      say(name, line(queue.name, 60));
      paused.hidden = !queue.paused;
      say(waiting, count(queue.waiting));
      const longest = queue.oldest_waiting_since ? `, oldest ${age(since(queue.oldest_waiting_since, now()))}` : "";
      say(oldest, `waiting${longest}`);
      slots.update(queue.running, queue.slots, `${queue.running} of ${queue.slots}`);
      say(words, `${count(queue.running)} running · ${many(queue.slots, "slot")} · ${many(queue.workers, "worker")}`);
    },
  };
}

function throttleRow() {
  const node = el("li", { class: "soft" });
  return {
    node,
    update(throttle) {
      const rest = ticking(-since(throttle.until, now()));
      const reason = throttle.reason ? `: ${throttle.reason}` : "";
      say(node, line(`${throttle.model} starts again in ${rest}, ${count(throttle.waiting)} waiting${reason}`));
    },
  };
}
