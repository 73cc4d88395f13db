// The list of messages. All that is said goes into the page as text, never as HTML.

import { avatar, element } from "./element.js";

const GROUP_MS = 300_000; // messages of one person so close together stand under one name
const MOST_LINES = 500;
const GROWN_MS = 5_000;   // a message that has not grown for so long does not grow any more

export class Log {
  #list;
  #me;
  #lines = new Map(); // "id ref" -> the line of that message, however often and by whichever way it comes
  #grown = 0;

  constructor(list) {
    this.#list = list;
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  clear(me) {
    this.#me = me;
    this.#lines.clear();
    this.#list.replaceChildren();
  }

  // A message that PHP has confirmed: it has a time.
  add(message) {
    this.#put(message, message.time);
  }

  // One of our own that is on its way.
  addPending(message) {
    this.#put(message, Infinity).classList.add("pending");
  }

  // One of our own that did not get through; again() tries once more. A developer gets all that is known.
  fail(message, why, error, again) {
    const line = this.#put(message, Infinity);
    const button = element("button", "quiet", "Try again");
    button.type = "button";
    button.onclick = again;
    line.classList.add("pending", "failed");
    line.querySelector("small").replaceChildren(why, " ", button);
    if (error) line.append(element("pre", "error", error));
  }

  // One that is being written before our eyes.
  grow(message) {
    const line = this.#put(message, Infinity);
    line.classList.add("growing");
    line.ariaBusy = "true"; // to be read out when it is complete
    clearTimeout(this.#grown);
    this.#grown = setTimeout(() => this.#list.querySelectorAll(".growing").forEach(settle), GROWN_MS);
  }

  remove({ from, ref }) {
    this.#lines.get(`${from.id} ${ref}`)?.remove();
    this.#lines.delete(`${from.id} ${ref}`);
  }

  note(text, className) {
    const line = element("li", `note ${className}`);
    const time = Math.max(Date.now(), this.#last()); // our clock may be behind
    line.append(element("span", "", text), " ", clock(time));
    this.#place(line, time);
  }

  // Has the past put in without its being read out line by line.
  quietly(work) {
    this.#list.parentElement.ariaBusy = "true";
    work();
    this.#list.parentElement.ariaBusy = "false";
  }

  #put({ from, text, ref, time }, place) {
    const key = `${from.id} ${ref}`;
    const mine = from.id === this.#me.id;
    const line = this.#lines.get(key) ?? element("li");
    this.#lines.set(key, line);
    settle(line);
    line.className = mine ? "message mine" : "message";
    line.dataset.key = key;
    line.dataset.from = from.id;
    line.dataset.name = from.name;
    const head = element("div", "head");
    const when = time ? clock(time) : element("small", "", mine ? "sending" : "");
    head.append(element("strong", mine ? "unseen" : "", mine ? "You" : from.name), when);
    const body = element("p", "", text);
    if (time) body.title = new Date(time).toLocaleString();
    line.replaceChildren(...(mine ? [] : [avatar(from)]), head, body);
    this.#place(line, place);
    return line;
  }

  // Where its time puts it: messages may overtake one another, and the past may come after the present.
  #place(line, time) {
    if (line.dataset.time === String(time)) return; // it is there already
    line.dataset.time = time;
    let before = this.#list.lastElementChild;
    while (before && (before === line || Number(before.dataset.time) > time)) before = before.previousElementSibling;
    const after = before ? before.nextElementSibling : this.#list.firstElementChild;
    if (after !== line) this.#list.insertBefore(line, after);
    this.#tidy();
  }

  #last() {
    return Math.max(0, ...Array.from(this.#list.children, (line) => Number(line.dataset.time)).filter(isFinite));
  }

  #tidy() {
    const lines = this.#list.children;
    while (lines.length > MOST_LINES) {
      this.#lines.delete(lines[0].dataset.key);
      lines[0].remove();
    }
    let last = null;
    for (const line of lines) {
      const near = line.dataset.time - last?.dataset.time < GROUP_MS || line.classList.contains("pending");
      const same = line.dataset.from !== undefined && line.dataset.from === last?.dataset.from
        && line.dataset.name === last.dataset.name;
      line.classList.toggle("same", near && same);
      last = line;
    }
  }
}

function settle(line) {
  line.classList.remove("growing");
  line.ariaBusy = "false";
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
