// The model. Put your own here: an async generator of texts that ends soon once `signal` is aborted.
import { setImmediate as breath } from "node:timers/promises";
import { sleep } from "./pauses.mjs";

// The words of the prompt, again and again: as many as the option `tokens` says, as fast as `tokens_per_second` says.
export async function* answer(run, signal) {
  const { tokens = 60, tokens_per_second = 20 } = optionsOf(run);
  const words = run.prompt.split(/\s+/).filter(Boolean);
  const begun = performance.now();
  for (let index = 0; index < tokens && !signal.aborted; index++) {
    yield `${words[index % words.length]} `;
    if (tokens_per_second) await sleep(begun + ((index + 1) * 1000) / tokens_per_second - performance.now(), signal);
    else if (index % 64 === 63) await breath();
  }
}

// google.protobuf.Struct, as far as it holds numbers.
function optionsOf(run) {
  const fields = Object.entries(run.generation?.options?.fields ?? {});
  return Object.fromEntries(fields.map(([name, { numberValue }]) => [name, numberValue]));
}
