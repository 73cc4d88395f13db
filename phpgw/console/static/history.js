// The last two minutes of what the feed reports, a point for each second.

export const POINTS = 120;

export class History {
  times = [];
  #entries = [];

  // Without an entry, there is a gap.
  add(entry, at = Date.now() / 1000) {
    this.times.push(at);
    this.#entries.push(entry);
    if (this.times.length > POINTS) {
      this.times.shift();
      this.#entries.shift();
    }
  }

  // Returns the last entry; null if there is none.
  latest() {
    return this.#entries.findLast((entry) => entry !== null) ?? null;
  }

  // Returns what a function reads of each entry; null for a gap.
  values(read) {
    return this.#entries.map((entry) => (entry === null ? null : read(entry) ?? null));
  }
}
