// The mesh as this page knows it, kept up to date by the server for as long as somebody looks.

import { listening } from "./listen.js";

const KINDS = ["workers", "tasks", "queues", "throttles", "pace", "trouble", "services", "mesh"];
const AGAIN = 3000;

/** Things by kind and id; `standing` is "connecting", "live" or "away". */
export const mesh = { standing: "connecting", told: false, ahead: 0, changes: 0, ...emptied() };

const listeners = new Set();
let listener = null;

/** Be called whenever something has changed. Returns what ends that. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The time where the page comes from, in milliseconds: this machine's clock may be wrong. */
export function now() {
  return Date.now() + mesh.ahead;
}

/** Look while the page can be seen, and only then. */
export function look() {
  document.addEventListener("visibilitychange", follow);
  follow();
}

function follow() {
  if (document.hidden) close();
  else if (!listener) connect();
}

function connect() {
  listener = listening("page/live", { news: take }, (isOver) => {
    stand("away");
    if (!isOver) return;
    close();
    setTimeout(follow, AGAIN);
  });
}

function close() {
  listener?.();
  listener = null;
}

function take(news) {
  mesh.ahead = Date.parse(news.now) - Date.now();
  if (news.fresh) Object.assign(mesh, emptied());
  for (const [kind, things] of Object.entries(news.put)) {
    for (const [id, thing] of Object.entries(things)) mesh[kind].set(id, thing);
  }
  for (const [kind, ids] of Object.entries(news.dropped)) {
    for (const id of ids) mesh[kind].delete(id);
  }
  mesh.changes += 1;
  mesh.told = mesh.mesh.has("whole");
  stand("live");
}

function stand(standing) {
  mesh.standing = standing;
  for (const listener of listeners) listener();
}

function emptied() {
  return Object.fromEntries(KINDS.map((kind) => [kind, new Map()]));
}

/**
 * Ask until there is an answer, or a refusal that asking again would not change. `take` is given the answer, `fail`
 * what is wrong so far. Returns what ends the asking.
 */
export function askUntilTold(path, take, fail) {
  let timer = 0;
  let isClosed = false;
  async function askOnce() {
    try {
      const told = await ask(path);
      if (!isClosed) take(told);
    } catch (error) {
      if (isClosed) return;
      fail(error);
      if (!error.status || error.status >= 500) timer = setTimeout(askOnce, AGAIN);
    }
  }
  askOnce();
  return () => {
    isClosed = true;
    clearTimeout(timer);
  };
}

/** What the server answers. Throws an Error with `advice`, and with `status` unless nobody answered. */
export async function ask(path) {
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw Object.assign(new Error("the page's server does not answer"), { advice: "is it still running?" });
  }
  const told = await response.json().catch(() => ({ error: `the server answered with ${response.status}` }));
  if (response.ok) return told;
  throw Object.assign(new Error(told.error), { advice: told.advice ?? "", status: response.status });
}
