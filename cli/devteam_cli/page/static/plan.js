// One plan: its steps as a graph that fills in while they run.

import { el, fill, say, sayOrHide, set, svg } from "./dom.js";
import { isFresh } from "./figures.js";
import { laidOut, way } from "./graph.js";
import { history } from "./history.js";
import { askUntilTold, mesh, now, onChange } from "./mesh.js";
import { section, stateMark } from "./section.js";
import { drawFacts } from "./task.js";
import { waterfall } from "./waterfall.js";
import { clock, count, dollars, line, many, since, span } from "./words.js";

const SIZE = { width: 172, height: 54, gap: 18, between: 56 };
const NARROW = matchMedia("(max-width: 640px)");

/** The view at "#/plan/ID". */
export function planView(id, dirty) {
  let plan = null;
  let failed = null;
  let isFetching = false;
  let stop = () => {};
  const parts = { top: top(), graph: graph(), trace: waterfall(dirty) };
  const note = el("p", { class: "empty", role: "alert" });
  const node = el("div", { class: "detail" }, parts.top.node, note, parts.graph.node, parts.trace.node);

  function take(told) {
    plan = told;
    failed = null;
    isFetching = false;
    dirty();
  }

  function fetchPlan() {
    if (isFetching) return;
    isFetching = true;
    stop = askUntilTold(`page/plans/${id}`, take, (error) => ((failed = error), dirty()));
  }
  fetchPlan();
  const close = onChange(() => {
    if (plan && hasNews(plan)) fetchPlan();
  });

  return {
    node,
    close: () => [close(), stop(), parts.trace.close()],
    draw() {
      sayOrHide(note, failed ? [failed.message, failed.advice].filter(Boolean).join("; ") : "");
      for (const part of Object.values(parts)) part.node.hidden = !plan;
      if (!plan) return;
      const steps = plan.tasks.map((task) => ({ ...task, model: task.spec.model, ...mesh.tasks.get(task.id) }));
      document.title = `${line(plan.name, 60)} · DevTeam`;
      parts.top.draw(plan, steps);
      parts.graph.draw(steps);
      parts.trace.draw(plan.trace_id || steps[0]?.trace_id, "", Boolean(plan.ended_at));
    },
  };
}

/** Whether the plan or a step of it has ended that the fetched plan still shows as under way. */
function hasNews(plan) {
  if (plan.tasks.every((task) => task.ended_at)) return !plan.ended_at;
  return plan.tasks.some((task) => !task.ended_at && (mesh.tasks.get(task.id)?.ended_at || (!plan.ended_at && isUnseen(task))));
}

/** Whether a task is not among those under way, and not because there are too many: it ended while nobody looked. */
function isUnseen({ id }) {
  return mesh.told && !mesh.tasks.has(id) && !mesh.mesh.get("crowd")?.others;
}

function top() {
  const title = el("h1");
  const mark = stateMark();
  const facts = el("dl", { class: "facts" });
  const way = history();
  const crumbs = el("nav", { class: "crumbs", "aria-label": "Where you are" }, el("a", { href: "#/" }, "All"));
  const node = el("header", {}, crumbs, el("div", { class: "pair" }, title, mark.node), facts, way.node);
  return {
    node,
    draw(plan, steps) {
      say(title, line(plan.name || plan.id, 80));
      mark.update(plan.state);
      drawFacts(facts, factsOf(plan, steps));
      way.draw(plan.id);
    },
  };
}

function factsOf(plan, steps) {
  const done = steps.filter((step) => step.state === "succeeded").length;
  const spent = steps.map((step) => step.usage).filter(Boolean);
  const cost = spent.reduce((sum, usage) => sum + (usage.cost_usd ?? 0), 0);
  const end = plan.ended_at ? Date.parse(plan.ended_at) : now();
  return [
    ["Steps", `${done} of ${count(steps.length)} done`],
    ["Took", plan.created_at ? span(since(plan.created_at, end)) : ""],
    ["Tokens", spent.length ? count(spent.reduce((sum, usage) => sum + usage.output_tokens, 0)) : ""],
    ["Cost", cost ? dollars(cost) : ""],
    ["Created", plan.created_at ? clock(plan.created_at) : ""],
    ["Plan", line(plan.id, 80)],
  ];
}

function graph() {
  const drawing = svg("svg", { role: "group", "aria-label": "Steps" });
  const edges = svg("g", { class: "edges" });
  const nodes = svg("g", {});
  drawing.append(edges, nodes);
  const list = el("ul", { class: "rows steps" });
  let drawn = "";
  let found = null;
  const frame = el("div", { class: "graph", tabindex: "0", "aria-label": "Graph of the steps" }, drawing);
  const { node } = section("Steps", el("div", { class: "panel" }, frame, list), "plan");
  return {
    node,
    draw(steps) {
      const shape = `${NARROW.matches} ${steps.map((step) => `${step.step_id} ${step.depends_on}`).join()}`;
      if (shape !== drawn) found = laidOut(steps, { ...SIZE, isTall: NARROW.matches });
      drawn = shape;
      frame.hidden = !found;
      if (found) drawGraph(drawing, edges, nodes, steps, found);
      // Where the graph is too small to read, it is an overview; where there is too much of it, there is the list only.
      fill(list, found && !NARROW.matches ? [] : steps, (step) => step.id, stepRow);
    },
  };
}

function drawGraph(drawing, edges, nodes, steps, found) {
  const states = new Map(steps.map((step) => [step.step_id, step.state]));
  const pad = 6;
  const [width, height] = [found.width + 2 * pad, found.height + 2 * pad];
  set(drawing, "viewBox", `${-pad} ${-pad} ${width} ${height}`);
  set(drawing, "width", width);
  set(drawing, "height", height);
  const lines = found.lines.map(({ from, to, points }) => ({ key: `${from} ${to}`, way: way(points, NARROW.matches), state: states.get(from) }));
  fill(edges, lines, ({ key }) => key, edge);
  fill(nodes, steps.map((step) => ({ ...step, at: found.boxes.get(step.step_id) })), (step) => step.step_id, stepBox);
}

function edge() {
  const node = svg("path");
  return { node, update: ({ way, state }) => [set(node, "d", way), set(node, "data-state", state)] };
}

function stepBox(first) {
  const { width, height } = SIZE;
  const name = svg("text", { x: 30, y: 22, class: "stepname" }, line(first.step_id, 19));
  const words = svg("text", { x: 30, y: 40, class: "stepwords" });
  const title = svg("title", {}, line(first.step_id, 100));
  const box = svg("rect", { width, height, rx: 9 });
  const dot = svg("circle", { cx: 17, cy: 17.5, r: 4.5 });
  const node = svg("a", { href: `#/task/${encodeURIComponent(first.id)}`, class: "step" }, title, box, dot, name, words);
  return {
    node,
    update(step) {
      set(node, "transform", `translate(${step.at.x} ${step.at.y})`);
      set(node, "data-state", step.state);
      say(words, line(stepWords(step), 24));
      set(node, "aria-label", `${line(first.step_id, 100)}: ${step.state}`);
    },
  };
}

function stepWords(step) {
  const pace = mesh.pace.get(step.id);
  if (step.state === "running" && pace?.attempt === step.attempt) {
    return `${many(pace.tokens, "token")}${isFresh(pace.at) && pace.rate ? `, ${count(pace.rate)}/s` : ""}`;
  }
  if (step.state === "running" && step.attempt > 1) return `running, attempt ${step.attempt}`;
  if (step.state === "succeeded" && step.ended_at) return `done in ${span(since(step.started_at, Date.parse(step.ended_at)))}`;
  return step.state;
}

function stepRow(first) {
  const mark = stateMark();
  const words = el("span", { class: "soft" });
  const link = el("a", { href: `#/task/${encodeURIComponent(first.id)}` }, el("span", { class: "what" }, mark.node, el("bdi", {}, line(first.step_id, 80))), words);
  return {
    node: el("li", {}, link),
    update(step) {
      mark.update(step.state);
      say(words, stepWords(step));
    },
  };
}
