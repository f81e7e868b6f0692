// One attempt that the worker has in hand: what it said, until that is stored at the other end, and how it ended.
import { fromMs, toMs } from "./contracts.mjs";

const MAX_BATCH_TOKENS = 256;
// A batch has at most 1 MiB on the wire; the rest is for what stands around its tokens.
const MAX_BATCH_BYTES = 1024 * 1024 - 4096;
// Longer text goes out in pieces of so many characters, so that a token fits into a batch and a window.
const MAX_PIECE = 16 * 1024;
const HOUR = 3_600_000;

export class Attempt {
  // The Router that assigned or resumed it last; "": that one is gone, and whoever wants it may have it.
  router = "";
  // Routers that believe it to be theirs, or to be had.
  told = new Set();
  // After a reconnect nothing is said about it until the Router has said where to go on.
  silent = false;
  reported = false;
  outcome = null;
  firstKept = 1;
  #tokens = [];
  #bytes = 0;
  #sent = 0;
  #stopping = new AbortController();
  #room = () => {};

  constructor({ run, queue }, windowBytes) {
    Object.assign(this, { run, queue, windowBytes });
    this.id = { task_id: run.task_id, attempt: run.attempt };
  }

  get running() {
    return this.outcome === null;
  }

  get lastSeq() {
    return this.firstKept + this.#tokens.length - 1;
  }

  get unsent() {
    return this.#sent < this.lastSeq;
  }

  get named() {
    const { id, queue, lastSeq, firstKept, running } = this;
    return { ...id, queue, last_seq: lastSeq, first_kept_seq: firstKept, ended: !running };
  }

  get report() {
    return { ...this.id, last_seq: this.lastSeq, ...this.outcome };
  }

  heeds(router) {
    return this.router === "" || this.router === router;
  }

  // Whether this Router itself knows of the slot that it takes.
  countedBy(router) {
    return this.router === router || (this.router === "" && this.told.has(router));
  }

  bind(router) {
    this.router = router;
    this.told.add(router);
  }

  // Carry it out, and call `news` whenever there is something to say.
  async carryOut(answer, news) {
    const begun = performance.now();
    const giveUp = () => this.stop(() => failed("TIMEOUT", "its run_timeout passed"));
    const late = setTimeout(giveUp, toMs(this.run.run_timeout) ?? HOUR);
    let first = null;
    try {
      for await (const text of answer(this.run, this.#stopping.signal)) {
        first ??= performance.now() - begun;
        for (const piece of pieces(text)) await this.#say(piece, news);
      }
      this.outcome = this.#stopping.signal.aborted ? this.#stopping.signal.reason() : this.#completed(first);
    } catch (error) {
      console.error(error);
      this.outcome = failed("INTERNAL", "the worker failed in its own code; its log has the cause");
    }
    clearTimeout(late);
    news();
  }

  // `outcome` makes what it ends with, once the model has let go.
  stop(outcome) {
    this.#stopping.abort(outcome);
    this.#room();
  }

  // The next batch: all that waits, within the bounds.
  take() {
    const start = this.#sent + 1 - this.firstKept;
    let [end, bytes] = [start, 0];
    while (end < this.#tokens.length && end - start < MAX_BATCH_TOKENS) {
      bytes += sizeOf(this.#tokens[end]) + 16;
      if (bytes > MAX_BATCH_BYTES) break;
      end++;
    }
    const first_seq = this.#sent + 1;
    this.#sent = this.firstKept + end - 1;
    return { ...this.id, first_seq, tokens: this.#tokens.slice(start, end).map((text) => ({ text })) };
  }

  // Send again what comes after this seq, and the report.
  rewind(seq) {
    this.silent = this.reported = false;
    this.#sent = Math.min(Math.max(seq, this.firstKept - 1), this.lastSeq);
  }

  // Stored: forget up to this seq.
  acknowledge(seq) {
    const gone = this.#tokens.splice(0, Math.max(0, Math.min(seq, this.lastSeq) - this.firstKept + 1));
    this.#bytes -= gone.reduce((bytes, text) => bytes + sizeOf(text), 0);
    this.firstKept += gone.length;
    this.#sent = Math.max(this.#sent, this.firstKept - 1);
    this.#room();
  }

  // Beyond the window, the model is not read until there is room again.
  async #say(text, news) {
    if (this.#stopping.signal.aborted) return;
    this.#tokens.push(text);
    this.#bytes += sizeOf(text);
    news();
    while (this.#bytes > this.windowBytes && !this.#stopping.signal.aborted) {
      await new Promise((resolve) => (this.#room = resolve));
    }
  }

  #completed(first) {
    const usage = { input_tokens: this.run.prompt.split(/\s+/).length, output_tokens: this.lastSeq };
    const time_to_first_token = fromMs(first ?? 0);
    const { model } = this.run;
    return { completion: { provider: "sim", model, stop_reason: "end_turn", usage, time_to_first_token } };
  }
}

const sizeOf = (text) => Buffer.byteLength(text);
const failed = (reason, message) => ({ failure: { reason: `FAILURE_REASON_${reason}`, message, retryable: true } });

// No piece ends between the two halves of a character.
function pieces(text) {
  return text.length <= MAX_PIECE ? [text] : text.match(new RegExp(`[\\s\\S]{1,${MAX_PIECE}}`, "gu"));
}
