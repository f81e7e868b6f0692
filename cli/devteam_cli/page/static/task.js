// One task: what it says, why it is where it is, what it took.

import { el, fill, say, sayOrHide } from "./dom.js";
import { isFresh } from "./figures.js";
import { history } from "./history.js";
import { doubtOf } from "./load.js";
import { askUntilTold, mesh, now } from "./mesh.js";
import { section, stateMark } from "./section.js";
import { answer } from "./stream.js";
import { hasEnded, markState, taskName } from "./tasks.js";
import { waterfall } from "./waterfall.js";
import { why } from "./why.js";
import { clean, clock, count, dollars, fine, line, since, span, spoken } from "./words.js";

/** The view at "#/task/ID". */
export function taskView(id, dirty) {
  let task = null;
  let attempts = [];
  let failed = null;
  const parts = { top: top(), why: why(id, dirty), trace: waterfall(dirty), prompt: promptOf(), attempts: attemptsOf() };
  const said = answer(id, {
    task: (told) => ((task = merged(task, told)), dirty()),
    attempt: (told) => (attempts.push(told), dirty()),
    begin: () => (attempts = []),
    end: dirty,
  });
  const note = el("p", { class: "empty", role: "alert" });
  const body = el("div", { class: "columns" }, said.node, el("div", { class: "side" }, parts.why.node, parts.attempts.node, parts.prompt.node));
  const node = el("div", { class: "detail" }, parts.top.node, note, body, parts.trace.node);

  function take(whole) {
    task = whole;
    failed = null;
    said.open();
    dirty();
  }
  const stop = askUntilTold(`page/tasks/${id}`, take, (error) => ((failed = error), dirty()));

  return {
    node,
    close: () => [stop(), said.close(), parts.trace.close(), parts.why.close()],
    draw() {
      sayOrHide(note, failed ? [failed.message, failed.advice].filter(Boolean).join("; ") : "");
      for (const part of [parts.top.node, body, parts.trace.node]) part.hidden = !task;
      if (!task) return;
      const seen = mesh.tasks.get(id);
      task.plan_name ||= seen?.plan_name;
      task.trace_id ||= seen?.trace_id;
      document.title = `${taskName(task)} · DevTeam`;
      parts.top.draw(task);
      parts.why.draw(task);
      parts.prompt.draw(task);
      parts.attempts.draw(task, attempts);
      // Spans are stored as they end: until the last one has, they cannot be told to be the task's by what they are part of.
      parts.trace.draw(task.trace_id, hasEnded(task) || isStep(task) ? task.id : "", hasEnded(task));
      said.draw(task);
    },
  };
}

/** What a stream tells of a task has no output, and less than what was fetched or is seen in the list. */
function merged(known, told) {
  const kept = Object.fromEntries(["output", "plan_name", "trace_id"].map((name) => [name, told[name] || known?.[name]]));
  return { ...known, ...told, ...kept };
}

/** Whether it is part of a plan; a task that is not is a plan of its own. */
function isStep({ id, plan_id: planId }) {
  return Boolean(planId) && planId !== id;
}

function top() {
  const crumb = el("nav", { class: "crumbs", "aria-label": "Where you are" });
  const title = el("h1");
  const mark = stateMark();
  const facts = el("dl", { class: "facts" });
  const trouble = el("p", { class: "failure" });
  const past = history();
  const node = el("header", {}, crumb, el("div", { class: "pair" }, title, mark.node), facts, past.node, trouble);
  return {
    node,
    draw(task) {
      const way = [["All", "#/"], ...(isStep(task) ? [[line(task.plan_name || task.plan_id, 60), `#/plan/${task.plan_id}`]] : [])];
      fill(crumb, way, ([, href]) => href, ([words, href]) => plainRow(el("a", { href }, el("bdi", {}, words))));
      say(title, isStep(task) ? line(task.step_id, 80) : line(task.id, 80));
      markState(mark, task);
      drawFacts(facts, factsOf(task));
      past.draw(task.plan_id);
      sayOrHide(trouble, troubleOf(task));
    },
  };
}

function troubleOf(task) {
  if (task.failure) return `${spoken(task.failure.reason)}: ${clean(task.failure.message)}`;
  const doubt = doubtOf(task);
  return doubt ? line(`It may run no longer: ${doubt.id} is ${doubt.status}, ${doubt.status_reason}`, 400) : "";
}

/** Names and values; those without a value are left out. */
export function drawFacts(list, facts) {
  fill(list, facts.filter(([, value]) => value), ([name]) => name, ([name]) => {
    const value = el("dd");
    return { node: el("div", {}, el("dt", {}, name), value), update: ([, words]) => say(value, words) };
  });
}

function factsOf(task) {
  const usage = task.usage;
  const end = task.ended_at ? Date.parse(task.ended_at) : now();
  const pace = mesh.pace.get(task.id);
  const rate = !hasEnded(task) && pace && isFresh(pace.at) ? pace.rate : 0;
  return [
    ["Worker", line(task.worker_id, 80)],
    ["Queue", line(task.queue || task.spec?.queue, 80)],
    ["Model", line(task.completion?.model || task.spec?.model, 80)],
    ["Attempt", task.attempt > 1 ? String(task.attempt) : ""],
    ["Took", task.started_at && task.state !== "queued" ? span(since(task.started_at, end)) : ""],
    ["First token", task.completion?.time_to_first_token ? fine(task.completion.time_to_first_token) : ""],
    ["Tokens", tokensOf(usage, pace, task)],
    ["Tokens/s", rate ? count(rate) : averageOf(usage, task)],
    ["Cost", usage && usage.cost_usd !== null ? dollars(usage.cost_usd) : ""],
    ["Created", task.created_at ? clock(task.created_at) : ""],
  ];
}

function tokensOf(usage, pace, task) {
  if (usage) return `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out`;
  return pace && pace.attempt === task.attempt ? count(pace.tokens) : "";
}

function averageOf(usage, task) {
  if (!usage?.output_tokens || !task.started_at || !task.ended_at) return "";
  const seconds = since(task.started_at, Date.parse(task.ended_at));
  return seconds > 0.2 ? count(usage.output_tokens / seconds) : "";
}

function promptOf() {
  const system = el("pre", { dir: "auto" });
  const prompt = el("pre", { dir: "auto" });
  const node = section("Prompt", el("details", { class: "panel prompt" }, el("summary", {}, "Show what was asked"), system, prompt), "asked").node;
  return {
    node,
    draw({ spec }) {
      sayOrHide(system, clean(spec?.system_prompt));
      say(prompt, clean(spec?.prompt));
    },
  };
}

/** Why each attempt began; one that needs no other is no news. */
function attemptsOf() {
  const list = el("ol", { class: "rows attempts panel" });
  const { node } = section("Attempts", list, "tries");
  return {
    node,
    draw(task, attempts) {
      node.hidden = task.attempt < 2;
      fill(list, attempts, ({ attempt }) => attempt, ({ attempt, reason }) =>
        plainRow(el("li", {}, el("b", { class: "number" }, attempt), " ", el("bdi", {}, line(reason, 300)))),
      );
    },
  };
}

function plainRow(node) {
  return { node, update() {} };
}
