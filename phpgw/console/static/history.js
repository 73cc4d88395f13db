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

  // Returns how many seconds ago the last entry was.
  age() {
    return Date.now() / 1000 - (this.times.at(-1) ?? 0);
  }

  // Returns so many entries at most, the latest ones.
  latest(count) {
    return this.#entries.filter((entry) => entry !== null).slice(-count);
  }

  // Returns what a function reads of each entry; null for a gap.
  values(read) {
    return this.#entries.map((entry) => (entry === null ? null : read(entry) ?? null));
  }
}
