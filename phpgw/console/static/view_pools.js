// The connection pools, as a part of the overview. A gateway without pools shows nothing.

import { ApiError, get } from "./api.js";
import { element, foreign } from "./elements.js";
import { count, milliseconds, printable } from "./text.js";

const inMilliseconds = (seconds) => milliseconds(seconds === null ? null : seconds * 1000);
const total = (counts) => Object.values(counts).reduce((sum, each) => sum + each, 0);
const COLUMNS = [
  ["In use", (pool) => `${count(pool.in_use)} of ${count(pool.size)}`],
  ["Idle", (pool) => count(pool.idle)],
  ["Waiting", (pool) => count(pool.waiting)],
  ["Opened", (pool) => count(pool.opened)],
  ["Cleaned", (pool) => count(pool.cleaned)],
  ["Refused", (pool) => count(total(pool.refused))],
  ["Wait (p99)", (pool) => inMilliseconds(pool.wait_p99)],
  ["Use (median)", (pool) => inMilliseconds(pool.use_p50)],
  ["Problem", (pool) => foreign(printable(pool.problem))],
];

export async function showPools(place) {
  try {
    const { pools } = await get("pools");
    place.hidden = !pools.length;
    place.replaceChildren(element("h2", {}, "Connection pools"), table(pools));
  } catch (error) {
    // The state of the connection is shown elsewhere.
    if (!(error instanceof ApiError)) throw error;
  }
}

function table(pools) {
  const headings = ["Pool", ...COLUMNS.map(([name]) => name)].map((name) => element("th", { scope: "col" }, name));
  const rows = pools.map((pool) => element(
    "tr", {},
    element("th", { scope: "row" }, foreign(printable(pool.name))),
    COLUMNS.map(([name, shown]) => element("td", { "data-label": name }, shown(pool))),
  ));
  return element("table", { class: "rows" }, element("thead", {}, element("tr", {}, headings)), element("tbody", {}, rows));
}
