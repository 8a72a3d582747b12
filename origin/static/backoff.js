// How long to wait before the next attempt, ms. Full jitter: after a restart of the edge not everybody
// may come back at once.

export class Backoff {
  #first;
  #most;
  #failures = 0;

  // Between 0 and `first` after one failure, then twice as long each time, up to `most`; ms.
  constructor(first = 250, most = 15_000) {
    this.#first = first;
    this.#most = most;
  }

  next() {
    return Math.random() * Math.min(this.#most, this.#first * 2 ** this.#failures++);
  }

  reset() {
    this.#failures = 0;
  }
}
