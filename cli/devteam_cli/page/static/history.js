// The way to Temporal's page about a plan, where there is one.

import { el, set } from "./dom.js";
import { mesh } from "./mesh.js";

/** A link; `draw(planId)`. A task that is no step is a plan of its own. */
export function history() {
  const node = el("a", { class: "out", target: "_blank", rel: "noopener noreferrer" }, "History in Temporal");
  return {
    node,
    draw(planId) {
      const base = mesh.links?.temporal?.replace(/\/+$/, "");
      node.hidden = !base || !planId;
      if (!base) return;
      const space = base.includes("/namespaces/") ? base : `${base}/namespaces/default`;
      set(node, "href", `${space}/workflows/${encodeURIComponent(`plan-${planId}`)}`);
    },
  };
}
