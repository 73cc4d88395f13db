// What the gateway counts, asked for once a second while the page is seen.

import { ApiError, get } from "./api.js";
import { History } from "./history.js";

const INTERVAL = 1000;

// Events: "state" (of the connection) and "stats", with the counters and their rates as detail.
class Feed extends EventTarget {
  state = "connecting";
  history = new History();
  #timer = null;
  #before = null;

  start() {
    this.#timer ??= setInterval(() => { if (!document.hidden) this.#load(); }, INTERVAL);
    this.#load();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  async #load() {
    try {
      const stats = await get("stats");
      if (this.#timer === null) return;
      stats.rates = this.#rates(stats);
      this.history.add(stats);
      this.#become("open");
      this.dispatchEvent(new CustomEvent("stats", { detail: stats }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#before = null;
      this.history.add(null);
      this.#become("away");
    }
  }

  // How much each counter has grown in a second.
  #rates(stats) {
    const now = performance.now();
    const before = this.#before;
    this.#before = { stats, now };
    if (before === null) return {};
    const seconds = (now - before.now) / 1000;
    return Object.fromEntries(Object.entries(stats).map(([name, value]) => [name, Math.max(0, value - before.stats[name]) / seconds]));
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

export const feed = new Feed();
