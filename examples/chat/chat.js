// The page's half of the chat. It sends commands, {"do": "say", ...}, and acts on the lists of events that PHP answers
// and pushes; websocket.php is the other half.
"use strict";

const $ = (id) => document.getElementById(id);

const PING_MS = 20_000;     // so that PHP knows that we are here
const PATIENCE_MS = 10_000; // without any answer for so long, the connection is taken for dead
const RETRY_MS = [500, 30_000];
const NEAR_END_PX = 80;
const GROUP_MS = 300_000;   // messages of one person so close together stand under one name
const MOST_LINES = 500;

let socket = null;
let retries = 0;
let retryTimer = 0;
let sentAt = 0;            // when we last sent something
let askedAt = 0;           // since when an answer is missing; 0: none is

let name = "";             // what we want to be called; empty while we do not want to be in the room
let you = "";              // our id in the room, once PHP has told
let inside = false;        // in the room, as far as we know
let people = [];
let peopleTime = 0;        // a push and a reply come by two ways, so an older list may come later
let unseen = 0;
const shown = new Set();   // the times of the events that are shown; a time is given out once
const pending = new Map(); // ref -> {text, line, at}: what we said and PHP has not confirmed

// ---- Small things kept by the browser: the key is the tab's, the name is a suggestion for the next one

const keep = (store, key, value) => {
  try {
    if (value === undefined) return window[store].getItem(key) ?? "";
    window[store].setItem(key, value);
  } catch { /* storage is switched off: a reload asks again */ }
  return value ?? "";
};
const random = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
const key = keep("sessionStorage", "key") || keep("sessionStorage", "key", random());

// ---- The connection

function gatewayUrl() {
  const query = new URLSearchParams(location.search);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const port = query.get("gateway");
  const host = port ? `${location.hostname}:${port}` : location.host;
  return query.get("ws") || `${scheme}//${host}/ws`;
}

function connect() {
  clearTimeout(retryTimer);
  showState("connecting", "Connecting");
  try {
    socket = new WebSocket(gatewayUrl());
  } catch {
    return showState("impossible", "Not connected");
  }
  askedAt = Date.now();
  socket.onopen = () => {
    askedAt = 0;
    showState("online", "Connected");
    join();
  };
  socket.onmessage = ({ data }) => receive(data);
  socket.onclose = disconnected;
}

function disconnected() {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(); // it may be us who gave it up
  socket = null;
  inside = false;
  askedAt = 0;
  for (const saying of pending.values()) saying.at = 0;
  const longest = Math.min(RETRY_MS[1], RETRY_MS[0] * 2 ** retries++);
  retryIn(longest * (0.5 + Math.random() / 2)); // jitter: not everybody at once when a gateway comes back
}

function retryIn(ms) {
  const seconds = Math.ceil(ms / 1000);
  showState("offline", "Reconnecting", seconds > 1 ? ` in ${seconds} s` : "");
  retryTimer = setTimeout(() => (ms > 1000 ? retryIn(ms - 1000) : connect()), Math.min(ms, 1000));
}

function retryNow() {
  if (!socket && !document.hidden) connect();
}

function ask(command) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify(command));
  sentAt = Date.now();
  askedAt ||= sentAt;
}

function watch() {
  const since = [askedAt, ...Array.from(pending.values(), ({ at }) => at)].filter(Boolean);
  if (socket && Date.now() - Math.min(...since) > PATIENCE_MS) disconnected();
  else if (inside && Date.now() - sentAt > PING_MS) ask({ do: "ping" });
}

// ---- What we do

function join() {
  if (name) ask({ do: "join", name, key });
}

function leave() {
  ask({ do: "leave" });
  setName("");
  inside = false;
  people = [];
  for (const { line } of pending.values()) line.remove();
  pending.clear();
  show();
  $("name").focus();
}

function setName(wanted) {
  name = keep("sessionStorage", "name", wanted);
}

function say(text) {
  const line = document.createElement("li");
  fillMessage(line, { id: you, name, text });
  place(line, Infinity);
  pending.set(random(), { text, line, at: 0 });
  sayPending();
  show();
  scrollToEnd();
}

function sayPending() {
  if (!inside) return; // it is said once we are in the room
  for (const [ref, saying] of pending) {
    if (saying.at) continue;
    saying.at = Date.now();
    ask({ do: "say", text: saying.text, ref });
  }
}

// ---- What we hear

function receive(data) {
  askedAt = 0;
  if (data === "") return; // a PHP script that had nothing to say
  let events = null;
  try {
    events = JSON.parse(data);
  } catch { /* plain text, pushed by somebody with curl */ }
  const time = Date.now() + Math.random(); // a time is given out once
  if (!Array.isArray(events)) events = [{ event: "note", text: String(data), time }];
  const follow = isAtEnd();
  for (const event of events) handlers[event?.event]?.(event);
  show();
  if (follow) scrollToEnd();
}

const handlers = {
  welcome(event) {
    retries = 0;
    you = event.you;
    inside = true;
    $("log").parentElement.ariaBusy = "true"; // the past is not read out line by line
    event.history.forEach(handlers.said);
    $("log").parentElement.ariaBusy = "false";
    setPeople(event);
    for (const saying of pending.values()) saying.at = 0;
    sayPending();
  },

  said(event) {
    if (shown.has(event.time)) return;
    shown.add(event.time);
    const mine = event.id === you;
    const line = (mine && pending.get(event.ref)?.line) || document.createElement("li");
    if (mine) pending.delete(event.ref);
    fillMessage(line, event);
    place(line, event.time);
    if (!mine) count();
  },

  joined(event) {
    setPeople(event);
    addNote(event, event.id === you ? "You joined" : `${event.name} joined`);
  },

  left(event) {
    setPeople(event);
    addNote(event, `${event.name} left`);
  },

  renamed(event) {
    setPeople(event);
    const who = event.id === you ? "You are" : `${event.was} is`;
    addNote(event, `${who} now called ${event.name}`);
  },

  note(event) {
    addNote(event, event.text);
    count();
  },

  pong: (event) => setPeople(event),

  error(event) {
    if (event.reason === "not_joined") {
      inside = false;
      join(); // PHP took us for gone; what we said is said again
      return;
    }
    notice(event.text);
    if (!event.ref) return setName(inside ? ourName() : "");
    pending.get(event.ref)?.line.remove();
    pending.delete(event.ref);
  },
};

function setPeople(event) {
  if (!inside || event.time < peopleTime) return;
  peopleTime = event.time;
  people = event.people;
  if (ourName()) setName(ourName());
}

function ourName() {
  return people.find(({ id }) => id === you)?.name ?? "";
}

// ---- The list of messages. All text goes in as text, never as HTML.

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function avatar(id, name) {
  const made = element("span", "avatar", [...name.trim()][0]?.toUpperCase() ?? "");
  made.style.setProperty("--hue", parseInt(id.slice(0, 4), 16) % 360 || 0);
  made.ariaHidden = "true";
  return made;
}

function fillMessage(line, { id, name, text, time }) {
  const mine = id === you;
  line.className = mine ? "message mine" : "message";
  line.classList.toggle("pending", !time);
  line.dataset.id = id;
  const head = element("div", "head", "");
  head.append(
    element("strong", mine ? "unseen" : "", mine ? "You" : name),
    time ? clock(time) : element("small", "", "sending"),
  );
  const body = element("p", "", text);
  if (time) body.title = new Date(time).toLocaleString();
  line.replaceChildren(...(mine ? [] : [avatar(id, name)]), head, body);
}

function addNote({ time }, text) {
  if (shown.has(time)) return;
  shown.add(time);
  const line = element("li", "note", "");
  line.append(element("span", "", text), " ", clock(time));
  place(line, time);
}

function clock(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  const made = element("time", "", date.toLocaleString([], {
    ...(today ? {} : { month: "short", day: "numeric" }),
    hour: "2-digit",
    minute: "2-digit",
  }));
  made.dateTime = date.toISOString();
  return made;
}

// Where its time puts it: pushes may overtake one another, and the past may come after the present.
function place(line, time) {
  line.dataset.time = time;
  let before = $("log").lastElementChild;
  while (before && (before === line || Number(before.dataset.time) > time)) before = before.previousElementSibling;
  const after = before ? before.nextElementSibling : $("log").firstElementChild;
  if (after !== line) $("log").insertBefore(line, after);
}

function tidy() {
  const lines = $("log").children;
  while (lines.length > MOST_LINES) lines[0].remove();
  let last = null;
  for (const line of lines) {
    const near = line.dataset.time - last?.dataset.time < GROUP_MS || line.classList.contains("pending");
    line.classList.toggle("same", near && line.dataset.id !== undefined && line.dataset.id === last?.dataset.id);
    last = line;
  }
}

// ---- The rest of the page

function show() {
  tidy();
  showForms(!name);

  $("empty").hidden = $("log").querySelector(".message") !== null || $("log").childElementCount > 3;
  const [title, text] = emptyText($("state").dataset.state);
  $("empty").children[1].textContent = title;
  $("empty").children[2].textContent = text;

  $("me").hidden = !name;
  $("rename").replaceChildren(avatar(you, name), element("span", "", name));
  $("rename").ariaLabel = `${name}: change your name`;
  $("count").textContent = people.length || "";
  $("people").className = inside ? "" : "stale";
  $("nobody").hidden = people.length > 0;
  $("nobody").textContent = name ? "Not connected yet." : "Join to see who is here.";
  $("people").replaceChildren(...people.map(({ id, name }) => {
    const line = element("li", "", "");
    line.append(avatar(id, name), element("span", "name", name));
    if (id === you) line.append(element("small", "", "you"));
    return line;
  }));
}

function emptyText(state) {
  if (state === "impossible") return ["Nowhere to connect to", `${gatewayUrl()} is not the address of a gateway.`];
  if (state !== "online" && retries) return ["No answer yet", "The gateway cannot be reached. This page keeps trying."];
  if (!name) return ["Who are you?", "Choose a name to come in. You will see what was said last, and who is here."];
  return ["Nothing said yet", "Write the first message, or open this page in a second window and answer yourself."];
}

function showForms(naming) {
  const renaming = !$("cancel").hidden && name !== "";
  $("cancel").hidden = !renaming;
  $("naming").hidden = !naming && !renaming;
  $("writing").hidden = !$("naming").hidden;
  $("naming").querySelector("[type=submit]").textContent = renaming ? "Save" : "Join";
}

function showState(state, text, detail = "") {
  const [words, countdown] = $("state").children;
  countdown.textContent = detail; // to be seen, not read out every second
  if ($("state").dataset.state === state) return;
  $("state").dataset.state = state;
  words.textContent = text;
  show();
}

let noticeTimer = 0;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(notice, 8000, "");
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = $("scroll");
  return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
}

function scrollToEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

function count() {
  if (!isAtEnd()) $("newer").hidden = false;
  if (document.hidden) document.title = `(${++unseen}) Chat`;
}

function fit() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

function rename(renaming) {
  $("cancel").hidden = !renaming;
  if (renaming) $("name").value = name;
  show();
  $(renaming ? "name" : "text").focus();
}

$("naming").onsubmit = (event) => {
  event.preventDefault();
  const wanted = $("name").value.trim();
  if (!wanted) return notice("A name has at least one character.");
  setName(keep("localStorage", "name", wanted));
  notice("");
  join();
  rename(false);
};

$("writing").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text) say(text);
  $("text").value = "";
  fit();
  $("text").focus();
};

$("text").oninput = fit;
$("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("writing").requestSubmit();
};

$("rename").onclick = () => rename(true);
$("cancel").onclick = () => rename(false);
$("name").onkeydown = (event) => {
  if (event.key === "Escape" && !$("cancel").hidden) rename(false);
};
$("leave").onclick = leave;
$("newer").onclick = scrollToEnd;
$("scroll").onscroll = () => {
  if (isAtEnd()) $("newer").hidden = true;
};

window.addEventListener("online", retryNow);
window.addEventListener("pagehide", () => ask({ do: "leave" }));
document.addEventListener("visibilitychange", () => {
  retryNow();
  if (!document.hidden) {
    unseen = 0;
    document.title = "Chat";
  }
});

setInterval(watch, 5000);
$("name").value = keep("localStorage", "name");
setName(keep("sessionStorage", "name"));
if (!name) $("name").focus();
connect();
