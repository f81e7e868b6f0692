// Why a task waits, or why it runs where it runs.

import { el, fill, say, sayOrHide } from "./dom.js";
import { ask, now } from "./mesh.js";
import { section } from "./section.js";
import { clean, count, line, since, span, spoken, ticking } from "./words.js";

const AGAIN = 3000;
const MOST = 12;

/** The mesh's explanation; of a task that waits it is asked for again and again. */
export function why(id, dirty) {
  let told = null;
  let about = "";
  let timer = 0;
  let isClosed = false;
  const reason = el("p");
  const facts = el("p", { class: "soft" });
  const list = el("ul", { class: "rows candidates" });
  const { node } = section("Why here", el("div", { class: "panel" }, reason, facts, list), "reason");

  async function askAgain() {
    clearTimeout(timer);
    try {
      told = await ask(`page/tasks/${id}/explain`);
    } catch {
      told = null;
    }
    if (!isClosed && told?.wait_reason) timer = setTimeout(askAgain, AGAIN);
    dirty();
  }

  return {
    node,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
    draw(task) {
      const subject = `${task.state} ${task.worker_id} ${task.attempt}`;
      if (subject !== about && ["queued", "running"].includes(task.state)) askAgain();
      if (subject !== about && !["queued", "running"].includes(task.state)) told = null;
      about = subject;
      say(node.querySelector("h2").firstChild, task.state === "queued" ? "Why it waits" : "Why here");
      say(reason, clean(told?.reason || task.placement_reason || task.wait_reason));
      sayOrHide(facts, told ? factsOf(told) : "");
      fill(list, told ? candidatesOf(told) : [], (one) => `${one.worker_id} ${one.queue}`, candidateRow);
      list.hidden = !told?.candidates.length;
      node.hidden = !reason.textContent && list.hidden;
    },
  };
}

function factsOf(told) {
  return [
    told.until ? `until ${ticking(-since(told.until, now()))} from now` : "",
    told.strategy ? `by ${told.strategy}` : "",
    told.eligible ? `${count(told.eligible)} could have run it` : "",
    told.tied > 1 ? `${count(told.tied)} equally good, one drawn by lot` : "",
    told.waited !== null ? `waited ${span(told.waited)}` : "",
    told.wait_reason ? spoken(told.wait_reason) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** The candidates as they were weighed, and whether they were taken. */
function candidatesOf({ candidates, worker_id: worker, queue }) {
  return candidates.slice(0, MOST).map((one) => ({ ...one, isTaken: one.worker_id === worker && one.queue === queue }));
}

function candidateRow() {
  const name = el("bdi", { class: "name" });
  const load = el("span", { class: "number soft" });
  const verdict = el("span", { class: "soft" });
  return {
    node: el("li", {}, el("div", { class: "pair" }, el("span", {}, name), load), verdict),
    update(one) {
      say(name, line(one.alike > 1 ? `${one.worker_id} and ${one.alike - 1} like it` : one.worker_id, 80));
      say(load, `${one.active} of ${one.capacity} busy${one.isTaken ? " then" : ""}`);
      say(verdict, line(verdictOn(one), 200));
      verdict.className = one.rejected_because ? "no" : "soft";
    },
  };
}

function verdictOn({ rejected_because: no, isTaken, merits }) {
  if (no) return no;
  return [isTaken ? "was taken" : "", merits].filter(Boolean).join(": ") || "could take it";
}
