// What the gateway reports once a second, and events as they end, over its WebSocket.

import { ApiError, feedUrl } from "./api.js";
import { History } from "./history.js";

// Milliseconds until another connection is tried: doubled up to the second, and a bit at random.
const FIRST_PAUSE = 1000;
const LAST_PAUSE = 15000;
// So long after the last message, the gateway hangs: it sends one each second.
const SILENT_FOR = 5000;
// A page that nobody sees for so long lets the gateway rest.
const HIDDEN_FOR = 60000;
// Seconds from one point of the history to the next, at least.
const MIN_AGE = 0.5;

// Events: "state" (of the connection), "stats", "event", "lost" and "missing", with what came as detail.
class Feed extends EventTarget {
  state = "connecting";
  history = new History();
  #socket = null;
  #events = null;
  #pause = FIRST_PAUSE;
  #timer = null;
  #hiddenTimer = null;
  #silenceTimer = null;
  #isWanted = false;
  #attempt = 0;

  start() {
    this.#isWanted = true;
    document.addEventListener("visibilitychange", this.#adapt);
    this.#open();
  }

  stop() {
    this.#isWanted = false;
    document.removeEventListener("visibilitychange", this.#adapt);
    this.#close();
  }

  // Asks for the events of a client, or of all; null for none.
  watch(filter) {
    this.#events = filter;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#subscribe();
  }

  #adapt = () => {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) this.#hiddenTimer = setTimeout(() => this.#close(), HIDDEN_FOR);
    else if (this.#socket === null) this.#open();
  };

  async #open() {
    clearTimeout(this.#timer);
    this.#become("connecting");
    const attempt = ++this.#attempt;
    let url;
    try {
      url = await feedUrl();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (attempt === this.#attempt) this.#lose();
      return;
    }
    // It may have been stopped meanwhile.
    if (attempt !== this.#attempt) return;
    const socket = this.#socket = new WebSocket(url);
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      this.#pause = FIRST_PAUSE;
      this.#subscribe();
      this.#expect();
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => { if (socket === this.#socket) this.#lose(isOpen ? "away" : "blocked"); };
  }

  #close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#hiddenTimer);
    clearTimeout(this.#silenceTimer);
    this.#attempt += 1;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #subscribe() {
    this.#socket.send(JSON.stringify({ stats: true, events: this.#events }));
  }

  // Waits for the next message, but not without end.
  #expect() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => {
      const socket = this.#socket;
      this.#lose();
      socket.close();
    }, SILENT_FOR);
  }

  #receive(message) {
    this.#expect();
    if ("stats" in message) {
      this.#become("open");
      // Each subscription begins with the last ones.
      if (this.history.age() > MIN_AGE) this.history.add(message.stats);
    }
    for (const [kind, detail] of Object.entries(message)) this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  // state: "away", or "blocked" if there is a ticket, and the WebSocket does not open nevertheless.
  #lose(state = "away") {
    clearTimeout(this.#silenceTimer);
    this.#socket = null;
    if (!this.#isWanted) return;
    this.history.add(null);
    this.#become(state);
    this.#timer = setTimeout(() => this.#open(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
  }

  #become(state) {
    // While there is no connection, each attempt would flicker.
    if (state === this.state || (state === "connecting" && this.state !== "open")) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

export const feed = new Feed();
