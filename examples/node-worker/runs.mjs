// The attempts in hand, and whether another one is taken.
import { Attempt } from "./attempt.mjs";
import { fromMs } from "./contracts.mjs";

export class Runs {
  draining = false;
  windowBytes = 1024 * 1024;
  // Called when there is something to say, when a run has begun, ended or changed hands.
  onNews = () => {};
  #attempts = new Map();

  constructor(spec, answer) {
    this.spec = spec;
    this.answer = answer;
    // What operators want; what was declared unless they said.
    this.concurrency = spec.concurrency;
  }

  *[Symbol.iterator]() {
    yield* [...this.#attempts.values()];
  }

  get empty() {
    return this.#attempts.size === 0;
  }

  active(queue) {
    return [...this].filter((item) => item.running && (queue === undefined || item.queue === queue)).length;
  }

  get({ task_id, attempt }) {
    return this.#attempts.get(`${task_id}/${attempt}`);
  }

  // Why a run is not taken; null to take it.
  refusal({ run, queue }) {
    const served = this.spec.queues.find(({ name }) => name === queue);
    if (this.draining) return rejection("DRAINING", "the worker drains");
    if (!served) return rejection("NOT_SERVED", `the queue ${queue} is not served here`);
    if (!served.models.some((pattern) => matches(pattern, run.model))) {
      return rejection("NOT_SERVED", `the model ${run.model} is not served here`);
    }
    // More slots in all than declared are more in each queue.
    const slots = Math.max(served.concurrency, Math.ceil((served.concurrency * this.concurrency) / this.spec.concurrency));
    const busy = this.active() >= this.concurrency || this.active(queue) >= slots;
    return busy ? rejection("BUSY", "every slot is taken") : null;
  }

  start(assign, router) {
    const item = new Attempt(assign, this.windowBytes);
    item.bind(router);
    this.#attempts.set(`${item.id.task_id}/${item.id.attempt}`, item);
    item.carryOut(this.answer, this.onNews);
  }

  widen(windowBytes) {
    this.windowBytes = windowBytes;
    for (const item of this) item.windowBytes = windowBytes;
  }

  resume(id, afterSeq, router) {
    const item = this.get(id);
    item.bind(router);
    item.rewind(afterSeq);
    this.onNews();
  }

  acknowledge({ seq, ...id }, router) {
    const item = this.get(id);
    if (item?.heeds(router)) item.acknowledge(seq);
  }

  forget(id, router) {
    const item = this.get(id);
    if (!item?.heeds(router)) return;
    this.#attempts.delete(`${id.task_id}/${id.attempt}`);
    item.stop(() => ({ cancellation: {} }));
    this.onNews();
  }

  // One that has said its last word is forgotten when it is fenced; an unknown one is none of our business.
  cancel(id, router, fenced) {
    const item = this.get(id);
    if (!item || (fenced && !item.heeds(router))) return;
    if (item.router === "") item.bind(router);
    if (item.running) {
      if (item.router === router) item.silent = false;
      const heard = performance.now();
      item.stop(() => ({ cancellation: { took: fromMs(performance.now() - heard) } }));
    } else if (item.router === router && fenced && (item.silent || item.reported)) {
      this.forget(id, router);
    } else if (item.router === router && item.silent) {
      item.rewind(item.lastSeq);
    }
    this.onNews();
  }

  handBack() {
    const hand_back = { reason: "HAND_BACK_REASON_DRAINING", message: "the worker drains, and its deadline passed" };
    for (const item of this) if (item.running) item.stop(() => ({ hand_back }));
  }

  // What a new stream to this Router begins with; nothing is said about these until it asks.
  introduce(router) {
    for (const item of this) item.told.delete(router);
    const named = [...this].filter((item) => item.heeds(router));
    for (const item of named) {
      item.told.add(router);
      item.silent = true;
    }
    return named;
  }

  // The stream to this Router broke.
  silence(router) {
    for (const item of this) if (item.router === router) item.silent = true;
  }

  // The Router stays away: whoever wants what it had may have it.
  setAdrift(router) {
    for (const item of this) if (item.router === router) item.router = "";
    this.onNews();
  }

  // Slots that other Routers' runs take.
  takenByOthers(router) {
    const by_queue = {};
    for (const item of this) {
      if (item.running && !item.countedBy(router)) by_queue[item.queue] = (by_queue[item.queue] ?? 0) + 1;
    }
    return { total: Object.values(by_queue).reduce((sum, count) => sum + count, 0), by_queue };
  }
}

const rejection = (reason, message) => ({ reason: `REJECT_REASON_${reason}`, message });

// A pattern of models: "opus", "ollama:*".
function matches(pattern, model) {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(model);
}
