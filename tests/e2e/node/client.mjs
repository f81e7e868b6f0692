// A client of the mesh in JavaScript: submits a plan of three steps, prints their words as they come, then the outputs.
//
//   node client.mjs HOST:PORT PROTO_FOLDER... TOPIC
//
// PROTO_FOLDER: this repository's proto/, and a folder that holds google/api/annotations.proto.
import { randomUUID } from "node:crypto";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [address, ...rest] = process.argv.slice(2);
const topic = rest.pop();
const contracts = loadSync("devteam/v1/planner.proto", {
  includeDirs: rest, keepCase: true, enums: String, longs: Number, oneofs: true, defaults: true,
});
const { PlannerService } = grpc.loadPackageDefinition(contracts).devteam.v1;
const planner = new PlannerService(address, grpc.credentials.createInsecure());

// google.protobuf.Struct, for numbers. The option makes the simulated model speak fast; real ones ignore it.
const options = { fields: { tokens_per_second: { numberValue: 1000 } } };
const step = (id, prompt, model, queue, depends_on = []) =>
  ({ id, prompt, model, queue, depends_on, generation: { options } });

const { plan } = await call("CreatePlan", {
  name: "research-pipeline",
  input: { topic },
  steps: [
    step("researcher", "Research the topic: {{input.topic}}", "sonnet", "research-queue"),
    step("analyst", "Analyze research findings: {{researcher.output}}", "opus", "gpu-queue", ["researcher"]),
    step("writer", "Write a report based on analysis: {{analyst.output}}", "sonnet", "default", ["analyst"]),
  ],
  // The same id answers with the same plan: a call whose answer got lost can be repeated.
  request_id: randomUUID(),
});

const steps = new Map(plan.tasks.map((task) => [task.task_id, task.step_id]));
const texts = new Map();
let state = plan.state;
for await (const message of planner.WatchPlan({ plan_id: plan.plan_id })) {
  switch (message.event) {
    case "plan":
      state = message.plan.state;
      break;
    case "attempt_started": // what older attempts of the task said no longer counts
      texts.set(message.attempt_started.task_id, "");
      break;
    case "tokens": {
      const { task_id, tokens } = message.tokens;
      const text = tokens.map((token) => token.text ?? "").join("");
      texts.set(task_id, (texts.get(task_id) ?? "") + text);
      process.stderr.write(text);
      break;
    }
  }
}

const outputs = {};
for (const [task_id, step_id] of steps) {
  const { task } = await call("GetTask", { task_id });
  outputs[step_id] = { worker: task.worker_id, output: task.output, streamed: texts.get(task_id) };
}
console.log(JSON.stringify({ plan_id: plan.plan_id, state, outputs }, null, 2));
planner.close();

// One unary call as a promise, within ten seconds.
function call(method, request) {
  const deadline = Date.now() + 10_000;
  return new Promise((resolve, reject) =>
    planner[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response))));
}
