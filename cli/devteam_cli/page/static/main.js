// Which view is shown, and when it is drawn: at most once a frame, and once a second for what ticks.

import { el, say, sayOrHide, set } from "./dom.js";
import { ask, look, mesh, onChange } from "./mesh.js";
import { overview } from "./overview.js";
import { planView } from "./plan.js";
import { taskView } from "./task.js";
import { line } from "./words.js";

const STANDINGS = { connecting: "connecting", live: "live", away: "reconnecting" };
const VIEWS = [
  [/^#\/task\/([\w.-]{1,256})$/, taskView],
  [/^#\/plan\/([\w.-]{1,256})$/, planView],
];

const main = document.getElementById("main");
let view = { draw() {}, close() {} };
let drawing = false;

/** Draw with the next frame. */
function dirty() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawStanding();
    view.draw();
  });
}

function drawStanding() {
  const [trouble] = mesh.trouble.values();
  const standing = mesh.standing === "live" && trouble ? "away" : mesh.standing;
  const node = document.getElementById("standing");
  say(node, STANDINGS[standing]);
  set(node, "data-standing", standing);
  sayOrHide(document.getElementById("trouble"), troubleIn(trouble) || line(mesh.mesh.get("notice")?.text) || shortcomings());
  set(main, "data-stale", mesh.told && standing === "away");
}

function troubleIn(trouble) {
  if (mesh.standing === "away") return "The page's server does not answer. Reconnecting; what is shown is how it was.";
  if (!trouble) return "";
  const advice = trouble.advice ? ` (${trouble.advice})` : "";
  return line(`Reconnecting to the mesh: ${trouble.error}${advice}`, 400);
}

/** What services say is wrong with them, or with what they stand on. */
function shortcomings() {
  const services = [...mesh.services.values()];
  const found = services.flatMap(({ name, problem, away }) => [
    ...(problem ? [`The ${name} cannot be asked: ${problem}`] : []),
    ...away.map((one) => `The ${name} does without its ${one.name}: ${one.detail}`),
  ]);
  return line(found.join(" · "), 600);
}

function route() {
  view.close();
  const [found] = VIEWS.map(([pattern, make]) => [location.hash.match(pattern), make]).filter(([match]) => match);
  view = found ? found[1](found[0][1], dirty) : overview(dirty);
  main.replaceChildren(view.node);
  scrollTo(0, 0);
  dirty();
}

async function introduce() {
  const known = await ask("page/mesh");
  say(document.getElementById("where"), line(known.api_url).replace(/^https?:\/\//, ""));
  mesh.links = known.links;
  const temporal = document.getElementById("temporal");
  if (known.links.temporal) set(temporal, "href", known.links.temporal);
  temporal.hidden = !known.links.temporal;
  dirty();
}

addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
onChange(dirty);
setInterval(dirty, 1000);
introduce().catch(() => main.append(el("p", { class: "empty" }, "The page's server does not answer; load this page again.")));
look();
route();
