// The gateways or workers that are one for PHP: a table, hidden if the gateway is alone.

import { ApiError, get } from "./api.js";
import { element, foreign, note } from "./elements.js";
import { count, printable, rate } from "./text.js";

// Milliseconds between two questions, at least.
const PAUSE = 2000;
const UNKNOWN = "?";
const COLUMNS = [
  ["Node", (node) => foreign(printable(node.name || node.node)), ""],
  ["Clients", (node) => (node.clients === null ? UNKNOWN : count(node.clients)), "number"],
  ["Messages/s", (node) => (node.rate === null ? UNKNOWN : rate(node.rate)), "number"],
  ["Lease renewed", (node) => (node.lease_age === null ? UNKNOWN : `${node.lease_age.toFixed(1)} s ago`), "number"],
  ["Problem", (node) => foreign(printable(node.problem)), ""],
];

export class NodePanel {
  constructor() {
    this.rows = element("tbody");
    this.problem = element("div", { role: "status" });
    const head = COLUMNS.map(([title, , kind]) => element("th", { scope: "col", class: kind }, title));
    this.element = element(
      "section", { class: "card", "aria-label": "Nodes", hidden: true },
      element("h2", {}, "Nodes"),
      element("table", { class: "rows" }, element("thead", {}, element("tr", {}, head)), this.rows),
      this.problem,
    );
    this.askedAt = 0;
  }

  // Asks for the nodes, if there are any, and it is time to.
  update(stats) {
    this.element.hidden = !stats.nodes_now;
    if (!stats.nodes_now || Date.now() - this.askedAt < PAUSE) return;
    this.askedAt = Date.now();
    this.show();
  }

  async show() {
    try {
      const { nodes } = await get("nodes");
      this.rows.replaceChildren(...nodes.map((node) => element(
        "tr", {}, COLUMNS.map(([title, shown, kind]) => element("td", { class: kind, "data-label": title }, shown(node))),
      )));
      this.problem.replaceChildren();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem.replaceChildren(note(printable(error.message), "error"));
    }
  }
}
