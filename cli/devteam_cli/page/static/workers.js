// Workers, those in trouble first.

import { el, fill, say, set } from "./dom.js";
import { IN_DOUBT, activeOf } from "./load.js";
import { mesh, now } from "./mesh.js";
import { bar, capped, nothing, section, stateMark } from "./section.js";
import { age, bytes, count, line, since, spoken, ticking } from "./words.js";

const MOST = 60;
// More slots than these are one bar: nobody counts squares.
const MOST_SQUARES = 16;
const MOST_NAMES = 8;
const TROUBLE = ["lost", "unhealthy", "suspect", "draining", "cordoned", "unknown", "healthy"];
const WISHES = { cordoned: "takes no new work", draining: "ends what runs, then leaves" };

/** Every worker as a card. */
export function workers() {
  const list = el("ul", { class: "cards" });
  const empty = nothing("No workers yet. Start one:", "devteam-worker start");
  const rows = capped(list, (worker) => worker.id, workerCard, MOST);
  const body = el("div", {}, list, rows.more, empty);
  const { node, note } = section("Workers", body, "fleet");
  return {
    node,
    draw() {
      const shown = [...mesh.workers.values()].sort(byTrouble);
      rows.draw(shown);
      say(note, shown.length ? count(shown.length) : "");
      empty.hidden = !mesh.told || shown.length > 0;
    },
  };
}

function byTrouble(one, other) {
  return TROUBLE.indexOf(one.status) - TROUBLE.indexOf(other.status) || one.id.localeCompare(other.id);
}

function workerCard(first) {
  const mark = stateMark();
  const reason = el("span");
  const next = el("b");
  const coming = el("p", { class: "coming" }, reason, next);
  const parts = [slotsOf(), namesOf("Queues", queuesOf), namesOf("Models", modelsOf), machineOf()];
  const name = el("h3", {}, el("bdi", {}, line(first.id, 80)));
  const node = el("li", { class: "card" }, el("div", { class: "pair" }, name, mark.node), coming, ...parts.map((part) => part.node));
  return {
    node,
    update(worker) {
      mark.update(worker.status);
      say(reason, line(reasonOf(worker), 200));
      say(next, nextOf(worker));
      set(coming, "title", line(worker.status_reason, 400));
      parts.forEach((part) => part.update(worker));
    },
  };
}

/** Why it is as it is; of a worker that is well, since when; of one that is as somebody wanted, what that means. */
function reasonOf(worker) {
  if (worker.status in WISHES) return WISHES[worker.status];
  if (worker.status !== "healthy") return worker.status_reason;
  const beat = worker.last_heartbeat ? ` · beat ${age(since(worker.last_heartbeat, now()))} ago` : "";
  return `up ${age(upFor(worker))}${beat}`;
}

/** What comes next, and when. */
function nextOf(worker) {
  if (worker.status === "draining" && worker.drain_deadline_at) {
    return `hands back in ${ticking(-since(worker.drain_deadline_at, now()))}`;
  }
  if (!worker.next_status_at || !IN_DOUBT.has(worker.status)) return "";
  return `${spoken(worker.next_status ?? "forgotten")} in ${ticking(-since(worker.next_status_at, now()))}`;
}

function upFor(worker) {
  return worker.registered_at ? Math.max(since(worker.registered_at, now()), worker.uptime) : worker.uptime;
}

function slotsOf() {
  const squares = el("span", { class: "squares", "aria-hidden": "true" });
  const used = bar("slots");
  const words = el("span", { class: "number" });
  const node = el("div", { class: "slots" }, squares, used.node, words);
  return {
    node,
    update(worker) {
      const { concurrency } = worker;
      const active = activeOf(worker);
      const isFew = concurrency <= MOST_SQUARES;
      squares.hidden = !isFew;
      used.node.hidden = isFew;
      const slots = isFew ? Array.from({ length: Math.max(concurrency, active) }, (_, i) => ({ i, isUsed: i < active })) : [];
      fill(squares, slots, ({ i }) => i, square);
      used.update(active, concurrency, `${active} of ${concurrency}`);
      say(words, `${count(active)} of ${count(concurrency)} busy`);
    },
  };
}

function square() {
  const node = el("i");
  return { node, update: ({ isUsed }) => set(node, "class", isUsed ? "used" : null) };
}

function namesOf(title, namesIn) {
  const list = el("span", { class: "names" });
  const node = el("div", { class: "line" }, el("span", { class: "soft" }, title), list);
  return {
    node,
    update(worker) {
      const names = namesIn(worker);
      const rest = names.length - MOST_NAMES;
      const shown = rest > 0 ? [...names.slice(0, MOST_NAMES), { name: `and ${rest} more` }] : names;
      fill(list, shown, (one) => one.name, nameTag);
    },
  };
}

function nameTag(first) {
  const node = el("span", { class: "tag" }, el("bdi", {}, line(first.name, 48)));
  return {
    node,
    update({ isResident }) {
      set(node, "data-resident", isResident);
      set(node, "title", isResident ? "loaded in memory: starts at once" : null);
    },
  };
}

function queuesOf(worker) {
  return worker.queues.map((name) => ({ name }));
}

/** The patterns it serves; of its own models, those in memory are marked. */
function modelsOf(worker) {
  const resident = new Set(worker.resident_models);
  const names = [...new Set([...worker.resident_models, ...worker.local_models, ...worker.models])];
  return names.length ? names.map((name) => ({ name, isResident: resident.has(name) })) : [{ name: "all" }];
}

function machineOf() {
  const words = el("span", { class: "soft" });
  const memory = bar("memory");
  const disk = bar("disk");
  const gauges = el("span", { class: "gauges" }, el("span", { class: "soft" }, "mem"), memory.node, el("span", { class: "soft" }, "disk"), disk.node);
  return {
    node: el("div", { class: "line machine" }, words, gauges),
    update(worker) {
      const { vitals } = worker;
      say(words, line(machineWords(worker), 80));
      gauges.hidden = !vitals?.memory_total;
      if (!vitals) return;
      drawGauge(memory, "memory", vitals.memory_total - vitals.memory_available, vitals.memory_total);
      drawGauge(disk, "disk", vitals.disk_total - vitals.disk_free, vitals.disk_total);
    },
  };
}

function machineWords(worker) {
  const gpu = worker.gpu ? worker.gpu_model || "GPU" : "";
  const cores = worker.cpu_cores ? `${worker.cpu_cores} cores` : "";
  const memory = worker.ram_gb ? `${Math.round(worker.ram_gb)} GB` : "";
  return [gpu, cores, memory].filter(Boolean).join(" · ");
}

function drawGauge(gauge, name, used, total) {
  const words = `${bytes(used)} of ${bytes(total)}`;
  gauge.update(used, total, words);
  set(gauge.node, "title", `${name}: ${words}`);
}
