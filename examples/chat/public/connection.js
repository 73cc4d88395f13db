// A WebSocket that comes back.

const RETRY_MS = { first: 500, longest: 15_000 };
const PATIENCE_MS = 15_000; // for a connection to open, and between two ticks of the clock

export class Connection {
  #on;
  #url = "";
  #socket = null;
  #retries = 0;
  #retryTimer = 0;
  #deadline = Infinity; // when the connection is taken for dead

  // on: opened(), received(text), lost(), state(name, words, detail)
  constructor(on) {
    this.#on = on;
    setInterval(() => Date.now() > this.#deadline && this.#lost(), 5000);
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#retryNow());
  }

  // Goes to this address, in place of the one before.
  open(url) {
    this.#url = url;
    this.#retries = 0;
    this.#drop();
    this.#connect();
  }

  // What cannot be sent now is the caller's to send again, once opened() is called.
  send(value) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(value));
  }

  // To be called with each tick of the clock: from now on silence means that nobody is there.
  ticked() {
    this.#deadline = Date.now() + PATIENCE_MS;
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#on.state("connecting", "Connecting");
    const socket = this.#socket = new WebSocket(this.#url);
    this.#deadline = Date.now() + PATIENCE_MS;
    socket.onopen = () => {
      this.#deadline = Infinity;
      this.#on.state("online", "Connected");
      this.#on.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#retries = 0;
      this.#on.received(data);
    };
    socket.onclose = () => this.#lost();
  }

  #lost() {
    this.#drop();
    this.#on.lost();
    const longest = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** this.#retries++);
    this.#retryIn(longest * (0.5 + Math.random() / 2)); // jitter: not everybody at once when a gateway comes back
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#deadline = Infinity;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #retryIn(ms) {
    clearTimeout(this.#retryTimer);
    const seconds = Math.ceil(ms / 1000);
    this.#on.state("offline", "Reconnecting", seconds > 1 ? ` in ${seconds} s` : "");
    this.#retryTimer = setTimeout(() => (ms > 1000 ? this.#retryIn(ms - 1000) : this.#connect()), Math.min(ms, 1000));
  }

  #retryNow() {
    if (this.#url && !this.#socket && !document.hidden) this.#connect();
  }
}
