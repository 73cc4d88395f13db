// What the gateway reports once a second.

import { get } from "./api.js";

class Feed extends EventTarget {
  state = "connecting";
  #timer = null;

  start() {
    this.#timer ??= setInterval(() => this.#load(), 1000);
    this.#load();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  async #load() {
    try {
      const stats = await get("stats");
      this.#become("open");
      this.dispatchEvent(new CustomEvent("stats", { detail: stats }));
    } catch {
      this.#become("away");
    }
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

export const feed = new Feed();
