// The console: logs in, and shows the page that the address names.

import { get, logIn, logOut, session } from "./api.js";
import { announce, element, heading, note } from "./elements.js";
import { feed } from "./feed.js";
import { startThemeButton } from "./theme_button.js";
import { printable } from "./text.js";
import { showClient } from "./view_client.js";
import { showClients } from "./view_clients.js";
import { showFailures } from "./view_failures.js";
import { showNames } from "./view_names.js";
import { showOverview } from "./view_overview.js";
import { showSend } from "./view_send.js";

const [main, nav, state, skip, theme, leave] = ["#main", "nav", "#state", "#skip", "#theme", "#log-out"].map(
  (selector) => document.querySelector(selector),
);
const PAGES = {
  "": showOverview,
  clients: (page, name, query) => (name === null ? showClients(page, query) : showClient(page, name)),
  groups: (page) => showNames(page, "group"),
  users: (page) => showNames(page, "user"),
  failures: showFailures,
  send: (page, name, query) => showSend(page, query),
};
const STATES = { connecting: "Connecting", open: "Live", away: "No connection to the gateway", blocked: "No live data: the WebSocket does not open (a proxy has to pass on Host and Upgrade)" };

// The workers of the gateway whose events and numbers do not come.
let missing = [];
// What the page on show does when it is left.
let tidy = null;
// Whether the gateway has taken this page for one that is logged in.
let isKnown = false;

function route() {
  const [path, query] = location.hash.slice(2).split("?", 2);
  const [root, ...rest] = path.split("/");
  const name = rest.length ? decoded(rest.join("/")) : null;
  show(Object.hasOwn(PAGES, root) ? PAGES[root] : showNothing, name, new URLSearchParams(query ?? ""));
  for (const link of nav.children) {
    const isHere = link.getAttribute("href").slice(2) === root;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// An address may be of anybody's making.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show(view, ...rest) {
  tidy?.();
  tidy = null;
  main.replaceChildren();
  // A page that is left before it is complete cleans up, too.
  const page = document.createElement("div");
  main.append(page);
  tidy = view(page, ...rest) ?? null;
  const title = page.querySelector("h1")?.textContent ?? "Console";
  document.title = `${title} · phpgw console`;
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function showNothing(page) {
  page.append(heading("There is no such page"), note("The pages are in the bar above."));
}

function showLogin(page, problem) {
  const command = element("pre", {}, "phpgw console");
  page.append(
    heading("Log in"),
    element(
      "div", { class: "card" },
      problem ? element("p", { class: "error", role: "alert" }, problem) : null,
      note("Run this on the gateway's machine, with the gateway's configuration, and open the link that it prints:"),
      command,
      element("p", { class: "hint" }, "The link works once, within 60 seconds. Your browser is then logged in for 12 hours."),
    ),
  );
}

function enter() {
  nav.hidden = leave.hidden = false;
  feed.start();
  window.addEventListener("hashchange", route);
  route();
}

function leaveWith(problem) {
  isKnown = false;
  feed.stop();
  window.removeEventListener("hashchange", route);
  nav.hidden = leave.hidden = true;
  state.textContent = "";
  show(showLogin, problem);
}

// Returns whether this browser has a session, perhaps of the same link.
async function isLoggedIn() {
  try {
    await get("about");
    return true;
  } catch {
    return false;
  }
}

async function start() {
  const code = location.hash.startsWith("#/") ? "" : location.hash.slice(1);
  if (code) {
    // Not kept in the browser's history.
    history.replaceState(null, "", `${location.pathname}#/`);
    try {
      await logIn(code);
    } catch (error) {
      if (!(await isLoggedIn())) {
        leaveWith(printable(error.message));
        return;
      }
    }
  }
  enter();
}

function showState() {
  state.dataset.state = feed.state;
  const absent = feed.state === "open" && missing.length ? `, but for worker ${missing.map(Number).join(", ")}: it hangs, or is started again` : "";
  const text = STATES[feed.state] + absent;
  if (state.textContent !== text) state.textContent = text;
}

feed.addEventListener("state", () => {
  // Each connection is told anew.
  if (feed.state !== "open") missing = [];
  showState();
});
feed.addEventListener("missing", ({ detail }) => {
  missing = detail;
  showState();
});
feed.addEventListener("stats", () => { isKnown = true; });
session.addEventListener("end", () => leaveWith(isKnown ? "Your session has ended." : ""));
leave.addEventListener("click", async () => {
  try {
    await logOut();
    leaveWith("");
    announce("You are logged out.");
  } catch (error) {
    main.prepend(element("p", { class: "error", role: "alert" }, `You are not logged out. ${printable(error.message)}`));
  }
});
// A link to #main would change the address, which names the page.
skip.addEventListener("click", () => main.focus());
startThemeButton(theme);
// A second link, opened in the same tab.
window.addEventListener("hashchange", () => {
  if (location.hash.length > 1 && !location.hash.startsWith("#/")) location.reload();
});
start();
