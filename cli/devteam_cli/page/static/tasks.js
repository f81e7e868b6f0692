// What runs and what waits.

import { el, say, set } from "./dom.js";
import { isFresh } from "./figures.js";
import { doubtOf } from "./load.js";
import { mesh, now } from "./mesh.js";
import { capped, nothing, section, stateMark } from "./section.js";
import { age, count, line, since } from "./words.js";

// As many as have room beside the queues: workers stay in sight, and where they are.
const MOST = 10;
const ORDER = { running: 0, queued: 1 };
const ENDED = new Set(["succeeded", "failed", "cancelled", "skipped"]);

/** Tasks that run, then those that wait. */
export function tasks() {
  const list = el("ul", { class: "rows tasks" });
  const head = el("div", { class: "head", "aria-hidden": "true" }, ...titles());
  const empty = nothing("Nothing runs and nothing waits. Try:", 'devteam task run --model sonnet "Say hello"');
  const rows = capped(list, (task) => task.id, taskRow, MOST);
  const body = el("div", { class: "panel" }, head, list, rows.more, empty);
  const { node, note } = section("Running and waiting", body, "now");
  return {
    node,
    draw() {
      const shown = [...mesh.tasks.values()].filter((task) => task.state in ORDER).sort(byUrgency);
      const others = mesh.mesh.get("crowd")?.others ?? 0;
      rows.draw(shown, others);
      say(note, shown.length ? count(shown.length + others) : "");
      head.hidden = !shown.length;
      empty.hidden = !mesh.told || shown.length > 0;
    },
  };
}

function titles() {
  return ["Task", "Model", "Where, or why it waits", "Tokens", "Tokens/s", "Age"].map((title) => el("span", {}, title));
}

function byUrgency(one, other) {
  return ORDER[one.state] - ORDER[other.state] || began(one).localeCompare(began(other)) || one.id.localeCompare(other.id);
}

function began(task) {
  return (task.state === "running" ? task.started_at : task.created_at) ?? "";
}

function taskRow(first) {
  const mark = stateMark();
  const name = el("bdi", { class: "name" });
  const plan = el("bdi", { class: "soft" });
  const model = el("bdi", { class: "soft model" });
  const place = el("bdi");
  const cells = { tokens: el("span", { class: "number" }), rate: el("span", { class: "number" }), age: el("span", { class: "number" }) };
  const what = el("span", { class: "what" }, mark.node, name, plan);
  const where = el("span", { class: "why" }, place);
  const link = el("a", { href: `#/task/${encodeURIComponent(first.id)}` }, what, model, where, cells.tokens, cells.rate, cells.age);
  return {
    node: el("li", {}, link),
    update(task) {
      markState(mark, task);
      set(link, "data-waits", task.state !== "running" || doubtOf(task) !== null);
      say(name, line(task.plan_name ? task.step_id : task.id, 60));
      say(plan, line(task.plan_name, 60));
      say(model, line(task.model, 60));
      say(place, line(placeOf(task), 160));
      set(where, "title", line(placeOf(task), 600));
      drawPace(task, cells);
      say(cells.age, began(task) ? age(since(began(task), now())) : "");
    },
  };
}

function drawPace(task, cells) {
  const pace = mesh.pace.get(task.id);
  const isCurrent = task.state === "running" && pace?.attempt === task.attempt;
  say(cells.tokens, isCurrent ? count(pace.tokens) : "");
  say(cells.rate, isCurrent && isFresh(pace.at) && pace.rate ? count(pace.rate) : "");
}

function placeOf(task) {
  if (task.state !== "running") return task.wait_reason || task.queue;
  const again = task.attempt > 1 ? `, attempt ${task.attempt}` : "";
  const doubt = doubtOf(task);
  return `${task.worker_id}${again}${doubt ? ` is ${doubt.status}: ${doubt.status_reason}` : ""}`;
}

/** The state of a task; of one whose worker is not heard, that it may run no longer. */
export function markState(mark, task) {
  const doubt = doubtOf(task);
  mark.update(doubt ? doubt.status : task.state, doubt ? "in doubt" : task.state);
}

/** What a reader calls a task: its plan and step, or its id. */
export function taskName(task) {
  return task.plan_name ? line(`${task.plan_name} › ${task.step_id}`, 80) : line(task.id, 80);
}

/** Whether it will never change again. */
export function hasEnded({ state }) {
  return ENDED.has(state);
}
