// The last releases of a value, fetched at the beginning and again whenever some were missed.

import { Backoff } from "./backoff.js";
import { readText } from "./request.js";
import { parseHistory } from "./snapshot.js";
import { pause } from "./timers.js";

const PATIENCE_MS = 15_000;
// Where releases are missed again and again, the history is not asked for at each of them; and of all
// who missed one, not everybody asks in the same instant.
const PAUSE_MS = 5_000;
const JITTER_MS = 1_000;

export class Past {
  #url;
  #onReleases;
  #closing = new AbortController();
  #wanted = 0;
  #running = false;

  // onReleases(releases): snapshots, oldest first.
  constructor(url, onReleases) {
    this.#url = url;
    this.#onReleases = onReleases;
  }

  // again: it was fetched before, and something was missed since then.
  async fetch({ again = false } = {}) {
    this.#wanted += 1;
    if (this.#running) return;
    this.#running = true;
    const { signal } = this.#closing;
    if (again) await pause(Math.random() * JITTER_MS, signal);
    const backoff = new Backoff();
    for (let fetched = 0; fetched < this.#wanted && !signal.aborted; ) {
      const wanted = this.#wanted;
      try {
        const releases = parseHistory(await readText(this.#url, { ms: PATIENCE_MS, signal }));
        this.#onReleases(releases);
        fetched = wanted;
        backoff.reset();
        await pause(PAUSE_MS, signal);
      } catch {
        await pause(backoff.next(), signal);
      }
    }
    this.#running = false;
    this.#wanted = 0;
  }

  close() {
    this.#closing.abort();
  }
}
