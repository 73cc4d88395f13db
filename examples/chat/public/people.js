// Which rooms there are, and who is here.

import { $, avatar, element } from "./element.js";

const SETTLE_MS = 1500; // who reloads the page is away for a moment only, which is no news

export class People {
  #note;
  #room = "";
  #rooms = [];
  #at = 0;
  #known = null; // who was here when we last looked: id -> name; null when we have just come
  #settling = 0;

  // note(text): says who has come or gone
  constructor(note) {
    this.#note = note;
  }

  enter(room) {
    this.#room = room;
    this.forget();
    this.#show();
    $("rooms").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // After a while without a connection: all may have changed.
  forget() {
    this.#known = null;
    clearTimeout(this.#settling);
    this.#settling = 0;
  }

  update({ at, rooms }, me) {
    if (at < this.#at) return; // an older one, which was slower
    this.#at = at;
    this.#rooms = rooms;
    this.#show(me);
    if (this.#known) this.#settling ||= setTimeout(() => this.#settle(me), SETTLE_MS);
    else this.#known = this.#here();
  }

  #here() {
    const room = this.#rooms.find(({ name }) => name === this.#room);
    return new Map(room?.people.map(({ id, name }) => [id, name]));
  }

  #settle(me) {
    const before = this.#known;
    const now = this.#known = this.#here();
    this.#settling = 0;
    for (const [id, name] of now) if (id !== me.id && !before.has(id)) this.#note(`${name} came in`);
    for (const [id, name] of before) if (id !== me.id && !now.has(id)) this.#note(`${name} left`);
  }

  #show(me) {
    const names = this.#rooms.map(({ name }) => name);
    const rooms = names.includes(this.#room) ? this.#rooms : [...this.#rooms, { name: this.#room, people: [] }];
    const focused = document.activeElement.closest("#rooms a")?.href;
    $("rooms").replaceChildren(...rooms.map(({ name, people }) => {
      const link = element("a");
      link.href = `?room=${encodeURIComponent(name)}`;
      link.append(element("span", "name", name), element("small", "", people.length || ""));
      if (people.length) link.ariaLabel = `${name}, ${people.length} here`;
      if (name === this.#room) link.setAttribute("aria-current", "page");
      const line = element("li");
      line.append(link);
      return line;
    }));
    if (focused) [...$("rooms").querySelectorAll("a")].find(({ href }) => href === focused)?.focus();
    $("people").replaceChildren(...[...this.#here()].map(([id, name]) => {
      const line = element("li");
      line.append(avatar({ id, name }), element("span", "name", name));
      if (id === me?.id) line.append(element("small", "", "you"));
      return line;
    }));
  }
}
