// A trace as a waterfall: a line for each span, from when it began to when it ended.

import { el, fill, say, set } from "./dom.js";
import { ask } from "./mesh.js";
import { capped, nothing, section } from "./section.js";
import { about, bounds, ordered } from "./spans.js";
import { clean, fine, line, many } from "./words.js";

const AGAIN = 4000;
const MOST = 80;

/** `draw(traceId, taskId, hasEnded)`; with a task's id, only what concerns that task. */
export function waterfall(dirty) {
  let rows = [];
  let clocks = [];
  let asked = "";
  let trouble = "";
  let isFetched = false;
  let timer = 0;
  let isClosed = false;
  let subject = "";
  const scale = el("div", { class: "scale", "aria-hidden": "true" });
  const list = el("ul", { class: "spans" });
  const empty = nothing("");
  const view = { from: 0, to: 1 };
  const lines = capped(list, (row) => row.id, (row) => spanRow(row, view), MOST);
  const { node, note } = section("Trace", el("div", { class: "panel" }, scale, list, lines.more, empty), "trace");

  async function fetchAgain(traceId, hasEnded) {
    try {
      const trace = await ask(`page/traces/${traceId}`);
      rows = ordered(trace?.spans ?? []);
      clocks = trace?.clocks ?? [];
      trouble = "";
      isFetched = true;
    } catch (error) {
      trouble = [error.message, error.advice].filter(Boolean).join("; ");
    }
    if (!isClosed && (trouble || !hasEnded)) timer = setTimeout(() => ((asked = ""), dirty()), AGAIN);
    if (!isClosed) dirty();
  }

  return {
    node,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
    draw(traceId, taskId, hasEnded) {
      const wanted = `${traceId} ${hasEnded}`;
      if (traceId && wanted !== asked) {
        clearTimeout(timer);
        asked = wanted;
        // The last spans of a task are stored a moment after its end.
        timer = setTimeout(() => fetchAgain(traceId, hasEnded), hasEnded && subject ? 1500 : 0);
        subject = traceId;
      }
      const shown = taskId ? about(rows, taskId) : rows;
      if (shown.length) Object.assign(view, bounds(shown));
      lines.draw(shown);
      scale.hidden = !shown.length || view.to - view.from < 1;
      if (!scale.hidden) drawScale(scale, view);
      const counted = `${many(shown.length, "span")}${hasEnded ? "" : ", others come as they end"}`;
      say(note, shown.length ? [counted, ...clocks].join("; ") : "");
      say(empty, trouble || nothingYet(traceId, isFetched, hasEnded));
      empty.hidden = shown.length > 0;
    },
  };
}

function nothingYet(traceId, isFetched, hasEnded) {
  if (!traceId) return "It is not traced.";
  if (!isFetched) return "Fetching the trace…";
  return hasEnded ? "No span of it is kept here." : "No span of it has ended yet.";
}

function drawScale(scale, view) {
  fill(scale, [0, 0.25, 0.5, 0.75, 1], (part) => part, () => {
    const node = el("span");
    return { node, update: (part) => say(node, part ? fine(((view.to - view.from) * part) / 1000) : "0") };
  });
}

function spanRow(first, view) {
  const mark = el("i");
  const took = el("small", { class: "number" });
  const name = el("span", { class: "spanname" }, el("bdi", {}, line(first.name, 80)), " ", el("small", { class: "soft" }, line(first.service, 40)));
  const more = el("dl", { class: "facts attributes" });
  const head = el("summary", {}, name, el("span", { class: "lane" }, mark), took);
  const row = el("details", { class: first.failed ? "span bad" : "span" }, head, more);
  row.addEventListener("toggle", () => row.open && drawAttributes(more, first), { once: true });
  return {
    node: el("li", {}, row),
    update(one) {
      const whole = Math.max(view.to - view.from, 1);
      const from = Date.parse(one.start) - view.from;
      const length = Date.parse(one.end ?? one.start) - Date.parse(one.start);
      // A span comes when it ends, and so before what it is part of.
      name.style.paddingLeft = `${Math.min(one.depth, 12) * 12}px`;
      mark.style.left = `${Math.min((from / whole) * 100, 99.6).toFixed(2)}%`;
      mark.style.width = `${Math.max((length / whole) * 100, 0.4).toFixed(2)}%`;
      set(mark, "data-service", line(one.service, 40));
      say(took, fine(length / 1000));
    },
  };
}

function drawAttributes(list, { attributes, events, links, error, kind, start }) {
  const goesBack = links.map((link) => link.span_id).join(" ");
  const facts = [["kind", kind], ["began", start], ["goes back to", goesBack], ["error", error], ...Object.entries(attributes)];
  const happened = events.map((event, i) => [`${i + 1}. ${event.name}`, [event.time, ...Object.entries(event.attributes).map((pair) => pair.join("="))].join(" ")]);
  fill(list, [...facts, ...happened].filter(([, value]) => value), ([name]) => name, ([name, value]) => {
    const node = el("div", {}, el("dt", {}, line(name, 80)), el("dd", {}, clean(value).slice(0, 4000)));
    return { node, update() {} };
  });
}
