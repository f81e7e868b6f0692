// A worker of a DevTeam mesh in JavaScript, made of nothing but the contracts.
import { answer } from "./answer.mjs";
import { settings } from "./settings.mjs";
import { Worker } from "./worker.mjs";

try {
  const worker = new Worker(settings(process.env), answer);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => worker.drain(null));
  await worker.run();
} catch (error) {
  console.error(error.details ?? error.message);
  process.exit(1);
}
