// The last failures: what went wrong, why, and what to do.

import { ApiError, get } from "./api.js";
import { element, foreign, heading, note } from "./elements.js";
import { clock, count, plural, printable } from "./text.js";
import { clientLink } from "./view_clients.js";

const TYPES = { server: "A message", connect: "A handshake", disconnect: "A disconnect", timer: "A timer" };

export function showFailures(page) {
  const list = element("div", {}, note("Loading"));
  page.append(
    heading("Failures", element("button", { type: "button", click: load }, "Refresh")),
    element("section", { class: "card", "aria-label": "Failures" }, list),
  );

  async function load() {
    try {
      const { failures } = await get("failures");
      list.replaceChildren(
        failures.length ? element("h2", {}, `The last ${plural(failures.length, "failure")}, newest first`) : "",
        ...grouped(failures).map(failureElement),
        failures.length ? "" : element("p", { class: "empty" }, "No event has failed since the gateway has started."),
      );
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      list.replaceChildren(note(printable(error.message), "error"));
    }
  }
  load();
}

// Returns the newest failure of each problem, with how often it has happened.
function grouped(failures) {
  const found = new Map();
  for (const failure of failures) {
    const newest = found.get(failure.problem);
    if (newest) newest.count += failure.count;
    else found.set(failure.problem, { ...failure });
  }
  return [...found.values()];
}

export function failureElement(failure) {
  const isOne = failure.count === 1;
  const facts = {
    [isOne ? "Error id" : "Last error id"]: element("code", {}, foreign(printable(failure.id))),
    Events: isOne ? null : count(failure.count),
    Why: foreign(printable(failure.why)),
    Fix: foreign(printable(failure.fix)),
  };
  const rows = Object.entries(facts).map(([name, value]) => value && [element("dt", {}, name), element("dd", {}, value)]);
  const what = element("p", { class: "note" }, element("time", {}, clock(failure.at)), ` · ${TYPES[failure.type] ?? printable(failure.type)}`);
  if (failure.client_id) what.append(" of ", clientLink(failure.client_id));
  return element("article", { class: "failure" }, element("h3", {}, foreign(printable(failure.problem))), what, element("dl", {}, rows));
}
