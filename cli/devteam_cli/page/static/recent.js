// Plans and tasks of late, the newest first.

import { el, say } from "./dom.js";
import { ask, mesh, now, onChange } from "./mesh.js";
import { capped, nothing, section, stateMark } from "./section.js";
import { age, clock, dollars, line, many, since, span } from "./words.js";

const MOST = 15;
const LATER = 1000;

/** What was submitted, fetched again whenever something begins or ends. */
export function recent(dirty) {
  let found = [];
  let known = "";
  let timer = 0;
  let isTold = false;
  const list = el("ul", { class: "rows recent" });
  const empty = nothing("Nothing was submitted yet. See a plan run:", "devteam plan run FILE");
  const rows = capped(list, (one) => one.id, recentRow, MOST);
  const body = el("div", { class: "panel" }, list, rows.more, empty);
  const { node, note } = section("Recent", body, "past");

  async function fetchAgain() {
    timer = 0;
    const { plans, tasks } = await ask("page/recent");
    found = [...plans, ...tasks].sort((one, other) => (other.created_at ?? "").localeCompare(one.created_at ?? ""));
    isTold = true;
    dirty();
  }

  function watch() {
    const states = [...mesh.tasks.values()].map((task) => `${task.id} ${task.state}`).join();
    if (states === known || timer) return;
    known = states;
    timer = setTimeout(() => fetchAgain().catch(() => (known = "")), LATER);
  }

  fetchAgain().catch(() => {});
  const close = onChange(watch);
  return {
    node,
    close: () => [close(), clearTimeout(timer)],
    draw() {
      rows.draw(found);
      say(note, "");
      empty.hidden = !isTold || found.length > 0;
    },
  };
}

function recentRow(first) {
  const isPlan = first.plan_id === undefined;
  const mark = stateMark();
  const name = el("bdi");
  const what = el("bdi", { class: "soft" });
  const took = el("span", { class: "number" });
  const when = el("span", { class: "number soft" });
  const href = `#/${isPlan ? "plan" : "task"}/${encodeURIComponent(first.id)}`;
  const link = el("a", { href }, el("span", { class: "what" }, mark.node, name), el("span", { class: "why" }, what), took, when);
  return {
    node: el("li", {}, link),
    update(one) {
      mark.update(one.ended_at ? one.state : (mesh.tasks.get(one.id)?.state ?? one.state));
      say(name, line(isPlan ? one.name : one.id, 80));
      say(what, isPlan ? "plan" : taskWords(one));
      say(took, one.ended_at ? span(since(one.started_at ?? one.created_at, Date.parse(one.ended_at))) : "");
      say(when, one.created_at ? whenWords(one.created_at) : "");
    },
  };
}

function taskWords(task) {
  if (task.failure) return line(task.failure.message, 160);
  const usage = task.usage;
  const spent = usage ? [many(usage.output_tokens, "token"), usage.cost_usd === null ? "" : dollars(usage.cost_usd)] : [];
  return line([task.spec.model, task.worker_id, ...spent].filter(Boolean).join(" · "), 160);
}

function whenWords(moment) {
  const ago = since(moment, now());
  return ago < 3600 ? `${age(ago)} ago` : clock(moment);
}
