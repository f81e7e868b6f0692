// The figures at the top.

import { el, say, svg } from "./dom.js";
import { activeOf } from "./load.js";
import { mesh, now } from "./mesh.js";
import { bar } from "./section.js";
import { age, count, many, since, spoken } from "./words.js";

const SECONDS = 90;
const SPEEDS = [];
let latest = 0;

/** Workers, slots, what runs and waits, and how fast answers grow. */
export function figures() {
  const slots = bar("slots");
  const line = svg("polyline", { class: "spark" });
  const curve = svg("svg", { viewBox: `0 0 ${SECONDS} 20`, preserveAspectRatio: "none", "aria-hidden": "true" }, line);
  const cells = {
    workers: figure("Workers"),
    slots: figure("Slots in use", slots.node),
    running: figure("Running"),
    waiting: figure("Waiting"),
    speed: figure("Tokens a second", curve),
  };
  const node = el("section", { class: "figures", "aria-label": "At a glance" }, ...Object.values(cells).map((c) => c.node));
  return {
    node,
    draw() {
      drawWorkers(cells.workers);
      drawSlots(cells.slots, slots);
      drawQueues(cells);
      drawSpeed(cells.speed, line);
    },
  };
}

function figure(title, extra = null) {
  const number = el("b", {}, "–");
  const note = el("small");
  const node = el("div", { class: "figure" }, el("span", {}, title), number, extra, note);
  return { node, update: (figureNow, noteNow = "") => [say(number, figureNow), say(note, noteNow)] };
}

function drawWorkers(cell) {
  const states = new Map();
  for (const { status } of mesh.workers.values()) states.set(status, (states.get(status) ?? 0) + 1);
  const others = [...states].filter(([state]) => state !== "healthy").map(([state, n]) => `${count(n)} ${spoken(state)}`);
  cell.update(mesh.told ? count(mesh.workers.size) : "–", others.join(", ") || (mesh.workers.size ? "all healthy" : ""));
}

function drawSlots(cell, slots) {
  let used = 0;
  let total = 0;
  for (const worker of mesh.workers.values()) {
    used += activeOf(worker);
    total += worker.concurrency;
  }
  cell.update(`${count(used)} / ${count(total)}`);
  slots.update(used, total, `${used} of ${total}`);
}

function drawQueues(cells) {
  let waiting = 0;
  let running = 0;
  let oldest = "";
  for (const queue of mesh.queues.values()) {
    waiting += queue.waiting;
    running += queue.running;
    const its = queue.oldest_waiting_since;
    if (its && (!oldest || its < oldest)) oldest = its;
  }
  const later = [...mesh.tasks.values()].filter((task) => task.state === "pending").length;
  cells.running.update(count(running), later ? `${many(later, "step")} to follow` : "");
  cells.waiting.update(count(waiting), oldest ? `oldest ${age(since(oldest, now()))}` : "");
}

function drawSpeed(cell, line) {
  let speed = 0;
  for (const { rate, at } of mesh.pace.values()) if (isFresh(at)) speed += rate;
  cell.update(count(speed));
  const second = Math.floor(performance.now() / 1000);
  if (second !== latest) SPEEDS.push(speed);
  if (SPEEDS.length > SECONDS + 1) SPEEDS.shift();
  latest = second;
  const top = Math.max(...SPEEDS, 1);
  const from = SECONDS + 1 - SPEEDS.length;
  line.setAttribute("points", SPEEDS.map((one, i) => `${from + i},${(19 - (one / top) * 17).toFixed(1)}`).join(" "));
}

/** Whether what was heard of a task's answer still tells how fast it grows. */
export function isFresh(at) {
  return since(at, now()) < 4;
}
