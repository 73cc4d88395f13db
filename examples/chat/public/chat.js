// The page's half of the chat. It sends commands, {"do": "say", ...}, and acts on the events that PHP answers and
// pushes; websocket.php is the other half.

import { Connection } from "./connection.js";
import { $, avatar, element } from "./element.js";
import { Log } from "./log.js";
import { People } from "./people.js";

const NEAR_END_PX = 80;
const LOOK_AGAIN_MS = 3000;
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

let me = { id: document.body.dataset.id, name: document.body.dataset.name };
let room = "";
let isWelcome = false;      // PHP has let us in and answers
let unseen = 0;
const pending = new Map();  // ref -> {room, from, text, ref}: what we said and PHP has not confirmed
const asked = [];           // "look" or a ref: what this connection has asked PHP, in order, without an answer yet

const log = new Log($("log"));
const people = new People((text) => follow(() => log.note(text, "quiet")));
const connection = new Connection({ opened: look, received: receive, lost, state: showState });

// ---- Rooms. A room is a page's address, and a connection's: another room is another connection.

const roomHere = () => new URLSearchParams(location.search).get("room");

function enter(name) {
  room = name;
  isWelcome = false;
  log.clear(me);
  for (const message of pending.values()) if (message.room === room) log.addPending(message);
  people.enter(room);
  $("title").textContent = room;
  seen();
  $("curl").textContent = curl();
  for (const link of document.querySelectorAll("[data-page]")) {
    link.href = `${link.dataset.page}?room=${encodeURIComponent(room)}`;
  }
  showEmpty();
  connection.open(gatewayUrl());
}

function gatewayUrl() {
  return `${document.body.dataset.gateway}/ws?room=${encodeURIComponent(room)}`;
}

function curl() {
  const quoted = room.replaceAll("'", "'\\''");
  const group = /^\w+$/.test(room) ? `-d group=${room}` : `--data-urlencode 'group=${quoted}'`;
  return `curl -d message=Hello ${group} ${document.body.dataset.api}/send`;
}

function goTo(name) {
  if (name === room) return;
  history.pushState(null, "", `?room=${encodeURIComponent(name)}`);
  enter(name);
}

// ---- What we say

function look() {
  asked.splice(0, asked.length, "look"); // what the connection before has asked is said again
  connection.send({ do: "look" });
}

function say(text) {
  const ref = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
  const message = { room, from: me, text, ref };
  pending.set(ref, message);
  log.addPending(message);
  showEmpty();
  scrollToEnd();
  if (isWelcome) send(message);
}

function send({ text, ref }) {
  asked.push(ref);
  connection.send({ do: "say", text, ref });
}

function answered(what) {
  if (asked.includes(what)) asked.splice(asked.indexOf(what), 1);
}

// ---- What we hear

function receive(data) {
  let event = null;
  try {
    event = JSON.parse(data);
  } catch { /* plain text, pushed by somebody with curl */ }
  const handle = handlers[event?.event] ?? (() => pushed(data));
  follow(() => handle(event));
}

const handlers = {
  welcome(event) {
    answered("look");
    me = event.you;
    isWelcome = true;
    log.quietly(() => event.history.forEach(handlers.said));
    showMe();
    for (const message of pending.values()) if (message.room === room) send(message);
  },

  said(message) {
    if (message.from.id === me.id) {
      pending.delete(message.ref);
      answered(message.ref);
    }
    log.add(message);
    showEmpty();
    if (isWelcome && message.from.id !== me.id) count();
  },

  growing(message) {
    log.grow(message);
  },

  who(event) {
    people.update(event, me);
  },

  clock({ time }) {
    connection.ticked();
    $("clock").dateTime = time;
    $("clock").textContent = new Date(time).toLocaleTimeString([], CLOCK);
  },

  // The gateway's own word, by --error-reply: PHP failed on what was asked first, since it is asked in order. With
  // --dev it says why.
  failed({ id, error }) {
    const what = asked.shift();
    const message = pending.get(what);
    if (message) log.fail(message, `not sent: PHP failed (error ${id})`, error, () => again(message));
    else notice(error || `PHP failed (error ${id}). The gateway's log says why.`);
    if (what === "look") setTimeout(() => isWelcome || look(), LOOK_AGAIN_MS);
  },

  error({ text, ref }) {
    answered(ref);
    notice(text);
    const message = pending.get(ref);
    if (message) log.remove(message);
    pending.delete(ref);
  },
};

function again(message) {
  log.addPending(message);
  if (isWelcome) send(message);
}

function pushed(text) {
  if (text === "") return;
  log.note(text, "pushed");
  showEmpty();
  count();
}

// A page is not told why a connection failed. If PHP does not know us any longer, it sends our page to the login.
async function lost() {
  isWelcome = false;
  people.forget();
  const page = await fetch(location.href, { method: "HEAD" }).catch(() => null);
  if (page?.redirected) location.replace(page.url);
}

// ---- The rest of the page

function showMe() {
  const link = $("me").querySelector("a");
  link.replaceChildren(avatar(me), element("span", "name", me.name));
  link.ariaLabel = `${me.name}: change your nickname`;
}

function showEmpty() {
  $("empty").hidden = !log.isEmpty;
  const [title, text] = document.body.dataset.state === "offline"
    ? ["No answer yet", "The gateway cannot be reached. This page keeps trying."]
    : ["Nothing said yet", "Write the first message, or have PHP tell a /story."];
  $("empty").children[1].textContent = title;
  $("empty").children[2].textContent = text;
}

function showState(state, text, detail = "") {
  const [words, countdown] = $("state").children;
  countdown.textContent = detail; // to be seen, not read out every second
  if (document.body.dataset.state === state) return;
  document.body.dataset.state = state;
  words.textContent = text;
  showEmpty();
}

let noticeTimer = 0;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(notice, 8000, "");
}

function isAtEnd() {
  return $("scroll").scrollTop > -NEAR_END_PX;
}

function scrollToEnd() {
  $("scroll").scrollTop = 0; // it counts from the end: see chat.css
}

// Does something to the log; who reads its end goes on reading its end.
function follow(work) {
  const wasAtEnd = isAtEnd();
  work();
  if (wasAtEnd) scrollToEnd();
}

function count() {
  if (!isAtEnd()) $("newer").hidden = false;
  if (document.hidden) document.title = `(${++unseen}) ${room}`;
}

function seen() {
  unseen = 0;
  document.title = room;
}

function fit() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

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

$("story").onclick = () => say("/story");

$("open-room").onsubmit = (event) => {
  event.preventDefault();
  const name = $("room").value.replace(/[\p{Z}\p{Cc}]+/gu, " ").trim(); // as name_from() in PHP has it
  $("room").value = "";
  if (name) goTo(name);
};

$("rooms").onclick = (event) => {
  const link = event.target.closest("a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  goTo(new URLSearchParams(link.search).get("room"));
};

$("newer").onclick = scrollToEnd;
$("scroll").onscroll = () => {
  if (isAtEnd()) $("newer").hidden = true;
};

addEventListener("popstate", () => enter(roomHere()));
document.addEventListener("visibilitychange", () => document.hidden || seen());

showMe();
enter(roomHere());
$("text").focus();
