// What a task says, while it says it.

import { el, say, sayOrHide } from "./dom.js";
import { listening } from "./listen.js";
import { section } from "./section.js";
import { hasEnded } from "./tasks.js";
import { clean, line } from "./words.js";

// Text is cut into blocks so that a browser has to lay out only the last of them anew.
const BLOCK = 3000;
const LONGEST = 20 * BLOCK;
const MOST_BLOCKS = 400;
const AGAIN = 3000;

/**
 * The answer of a task. `open()` begins to listen; `heard` is told of what is no text: {task, attempt, begin, end}.
 */
export function answer(id, heard) {
  const box = el("div", { class: "answer", tabindex: "0", role: "log", "aria-label": "Answer", "aria-live": "off" });
  const note = el("p", { class: "soft note-below" });
  const { node } = section("Answer", el("div", { class: "panel" }, box, note), "said");
  const paper = writing(box, id);
  let listener = null;
  let timer = 0;
  let words = "";
  let isOver = false;
  let isLacking = false;
  let wasLive = null;

  function begin() {
    paper.clear();
    words = "";
    isLacking = false;
    heard.begin();
  }

  // A tab that nobody sees holds no connection: a browser has but six for each server.
  function follow() {
    if (document.hidden) close();
    else if (!listener && !isOver) connect();
  }

  function open() {
    document.addEventListener("visibilitychange", follow);
    follow();
  }

  function connect() {
    const takes = {
      begin,
      task: heard.task,
      attempt: (told) => (paper.clear(), heard.attempt(told)),
      tokens: ({ tokens }) => (tokens.forEach(paper.write), (words = "")),
      gap: () => ((isLacking = true), paper.remark("Part of the answer can no longer be had.")),
      interrupted: ({ reason }) => (words = `Reconnecting: ${line(reason)}`),
      failed: ({ error, advice }) => (words = [error, advice].filter(Boolean).map((part) => line(part)).join("; ")),
      end: () => ((isOver = true), close(), heard.end()),
    };
    listener = listening(`page/tasks/${id}/live`, takes, (isLost) => {
      if (!isLost) return;
      close();
      timer = setTimeout(follow, AGAIN);
    });
  }

  function close() {
    clearTimeout(timer);
    listener?.();
    listener = null;
  }

  return {
    node,
    open,
    close: () => [close(), document.removeEventListener("visibilitychange", follow)],
    draw(task) {
      if (isOver && task.output && (isLacking || paper.isEmpty())) {
        isLacking = false;
        paper.clear();
        paper.write({ type: "text", text: task.output });
      }
      // What has long been said is read from its beginning.
      wasLive ??= !hasEnded(task);
      if (wasLive) paper.follow();
      sayOrHide(note, words || (paper.isEmpty() ? silence(task) : ""));
      box.hidden = paper.isEmpty();
    },
  };
}

function silence({ state, wait_reason: reason, depends_on: needed }) {
  if (state === "pending") return needed?.length ? `Starts after ${line(needed.join(", "))}.` : "Not started yet.";
  if (state === "queued") return `Waits for a worker${reason ? `: ${line(reason)}` : ""}.`;
  if (state === "running") return "Waiting for the first token…";
  return "It said nothing.";
}

/** Writes tokens into a box, and keeps the end in sight unless the reader has scrolled away from it. */
export function writing(box, id) {
  const cut = el("p", { class: "remark" }, "The beginning is left out here. All of it: ", el("code", {}, `devteam task get ${id}`));
  let block = null;
  let isFollowing = true;
  box.addEventListener("scroll", () => (isFollowing = box.scrollHeight - box.scrollTop - box.clientHeight < 40));

  function append(text, kind) {
    if (block?.dataset.kind !== kind || (block.length > BLOCK && block.endsLine) || block.length > LONGEST) {
      block = el("div", { class: `block ${kind}`, dir: "auto" }, document.createTextNode(""));
      block.dataset.kind = kind;
      block.length = 0;
      put(block);
    }
    block.firstChild.appendData(text);
    block.length += text.length;
    block.endsLine = text.endsWith("\n");
  }

  function put(node) {
    box.append(node);
    if (box.childElementCount <= MOST_BLOCKS) return;
    if (!cut.parentNode) box.prepend(cut);
    cut.nextElementSibling.remove();
  }

  function remark(text, kind = "remark") {
    block = null;
    put(el("p", { class: kind }, text));
  }

  return {
    write(token) {
      if (token.type === "text" || token.type === "thinking" || token.type === "progress") append(clean(token.text), token.type);
      else if (token.type === "tool_call") remark(`→ ${line(token.name, 80)}(${line(token.arguments, 300)})`, "tool");
      else if (token.type === "tool_result") {
        block = null;
        put(toolResult(token));
      }
    },
    remark,
    clear() {
      box.replaceChildren();
      block = null;
    },
    follow: () => isFollowing && (box.scrollTop = box.scrollHeight),
    isEmpty: () => !box.firstChild,
  };
}

function toolResult({ content, is_error: isError }) {
  const head = el("summary", {}, `${isError ? "✗" : "←"} ${line(content, 100) || "nothing"}`);
  const text = el("pre", { dir: "auto" });
  say(text, clean(content).slice(0, 20000));
  return el("details", { class: isError ? "tool bad" : "tool" }, head, text);
}
