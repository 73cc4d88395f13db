// The overview: numbers of now, charts of the last two minutes, and the last failure.

import { ApiError, get } from "./api.js";
import { Chart } from "./chart.js";
import { announce, element, heading, note } from "./elements.js";
import { feed } from "./feed.js";
import { NodePanel } from "./node_panel.js";
import { count, milliseconds, printable, rate } from "./text.js";
import { failureElement } from "./view_failures.js";
import { showPools } from "./view_pools.js";

const NUMBERS = [
  ["Clients", (stats) => count(stats.clients_now)],
  ["Messages received", (stats) => `${rate(stats.rates?.messages_received ?? 0)}/s`],
  ["Messages sent", (stats) => `${rate(stats.rates?.messages_sent ?? 0)}/s`],
  ["Events running", (stats) => count(stats.php_requests_now)],
  ["Events waiting", (stats) => count(stats.events_waiting_now)],
  ["Events failed", (stats) => count(stats.php_failures)],
  ["Nodes", (stats) => count(stats.nodes_now || 1)],
];
// What stops events for some seconds, with what it means. The most important one is shown.
const LASTING = 3;
const OBSTACLES = [
  [(stats) => stats.breaker_open_now, "PHP has failed so often that it is not asked for some time (circuit breaker). The last failure below says why."],
  [(stats) => stats.held_now, "Events are held back from PHP until they are released (/hold)."],
  [(stats) => stats.events_waiting_for_worker_now, "All workers of PHP-FPM are busy, and events wait for one. Raise pm.max_children of the pool."],
];
const perSecond = (value) => `${rate(value)}/s`;
const CHARTS = [
  [
    "Connections", { series: ["Clients"], shown: count, empty: "No client is connected. Browsers connect with new WebSocket(URL); the gateway's front page has a line to copy." },
    [(stats) => stats.clients_now],
  ],
  [
    "Messages", { series: ["Received", "Sent"], shown: perSecond, empty: "No message in the last two minutes: no client has sent one, and PHP has pushed none." },
    [(stats) => stats.rates?.messages_received, (stats) => stats.rates?.messages_sent],
  ],
  [
    "Time that PHP takes", { series: ["Median", "95th percentile"], shown: milliseconds, empty: "PHP was not asked in the last two minutes: no client has sent a message." },
    [(stats) => stats.php_ms?.p50, (stats) => stats.php_ms?.p95],
  ],
  [
    "Events in progress", { series: ["Waiting", "Running"], shown: count, empty: "No event waits or runs at the moment. PHP is fast enough for the messages that come." },
    [(stats) => stats.events_waiting_now, (stats) => stats.php_requests_now],
  ],
];
// Milliseconds between two looks at the failures, at least.
const FAILURE_PAUSE = 5000;
const POOL_PAUSE = 2000;

export function showOverview(page) {
  const numbers = element("dl", { class: "numbers" });
  const obstacle = element("p", { class: "error", role: "status", hidden: true });
  const charts = CHARTS.map(([title, options]) => new Chart(title, options));
  const nodes = new NodePanel();
  const failure = element("div");
  const pools = element("section", { class: "card", "aria-label": "Connection pools", hidden: true });
  page.append(
    heading("Overview"),
    element("section", { class: "card", "aria-label": "Now" }, obstacle, numbers),
    element("div", { class: "grid" }, charts.map((chart) => chart.element)),
    nodes.element,
    pools,
    element("section", { class: "card", "aria-label": "Last failure" }, element("h2", {}, "Last failure"), failure),
  );
  const values = NUMBERS.map(() => element("dd", {}, "–"));
  numbers.append(...NUMBERS.map(([name], each) => element("div", {}, element("dt", {}, name), values[each])));
  let failures = null;
  let lookedAt = 0;

  function fill(stats) {
    nodes.update(stats);
    NUMBERS.forEach(([, shown], each) => { values[each].textContent = shown(stats); });
    const found = OBSTACLES.find(([holds]) => feed.history.latest(LASTING).every(holds))?.[1] ?? "";
    // Screen readers are told when it changes.
    if (obstacle.textContent !== found) obstacle.textContent = found;
    obstacle.hidden = !found;
    if (stats.php_failures !== failures && Date.now() - lookedAt >= FAILURE_PAUSE) {
      if (failures !== null) announce(`${count(stats.php_failures - failures)} more events have failed.`);
      failures = stats.php_failures;
      lookedAt = Date.now();
      showLastFailure(failure);
    }
  }

  function draw() {
    charts.forEach((chart, each) => chart.update(CHARTS[each][2].map((read) => feed.history.values(read)), feed.history.times));
  }

  const update = ({ detail }) => { fill(detail); draw(); };
  feed.addEventListener("stats", update);
  feed.addEventListener("state", draw);
  const [latest] = feed.history.latest(1);
  if (latest) fill(latest);
  draw();
  showPools(pools);
  const looking = setInterval(() => showPools(pools), POOL_PAUSE);
  return () => {
    clearInterval(looking);
    feed.removeEventListener("stats", update);
    feed.removeEventListener("state", draw);
  };
}

async function showLastFailure(place) {
  try {
    const { failures } = await get("failures");
    place.replaceChildren(failures.length
      ? element("div", {}, failureElement(failures[0]), element("a", { href: "#/failures" }, "All failures"))
      : element("p", { class: "empty" }, "No event has failed since the gateway has started."));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    place.replaceChildren(note(printable(error.message), "error"));
  }
}
