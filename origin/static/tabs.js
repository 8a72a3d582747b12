// The tabs of one browser that watch the same: one leads, and tells the others what it hears.
//
// A Web Lock names the leader: the browser gives it to the next tab in the instant in which a tab is
// closed. A leader that hangs keeps it; so the others ask whether it is there, and take the lock away from
// one that does not answer. They ask, instead of it telling by a timer: browsers hold up timers of hidden
// tabs, by up to a minute, but not messages.

import { fireDue } from "./timers.js";

const CHECK_MS = 500;
const QUIET_MS = 500; // after that long without a word a follower asks
const PATIENCE_MS = [1_200, 1_800]; // and after that long without an answer it takes over, not all at once

// False in old browsers, and on pages that came neither over TLS nor from this machine.
export function canShare() {
  return Boolean(globalThis.navigator?.locks && globalThis.BroadcastChannel);
}

export class Tabs {
  #key;
  #part;
  #channel = null; // null: has left
  #queued = null; // AbortController of the lock that was asked for
  #release = null; // gives the lock back; null: does not lead
  #timer = 0;
  #heardAt = 0;
  #askedAt = 0; // 0: no question is open
  #patience = 0;

  // key: of what they share. part: lead() and follow() (at first it follows), question() and
  // answer(question) (what a follower asks and the leader says), hear(message).
  constructor(key, part) {
    this.#key = key;
    this.#part = part;
  }

  get leads() {
    return this.#release !== null;
  }

  join() {
    if (this.#channel) return;
    this.#channel = new BroadcastChannel(this.#key);
    this.#channel.onmessage = ({ data }) => this.#message(data);
    this.#askedAt = 0;
    this.#queue();
    this.#ask();
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
  }

  leave() {
    clearInterval(this.#timer);
    this.#channel?.close();
    this.#channel = null;
    this.#queued?.abort();
    this.#stepDown();
  }

  // To all others; only who leads is listened to.
  tell(message) {
    if (this.leads) this.#channel?.postMessage({ kind: "told", message });
  }

  async #queue({ steal = false } = {}) {
    this.#queued?.abort();
    const queued = (this.#queued = new AbortController());
    const current = () => this.#queued === queued && !queued.signal.aborted && this.#channel;
    // The two options exclude each other.
    const options = steal ? { steal } : { signal: queued.signal };
    try {
      await navigator.locks.request(this.#key, options, () => {
        if (!current()) return undefined;
        return new Promise((resolve) => {
          this.#release = resolve;
          this.#part.lead();
          this.tell(this.#part.answer({}));
        });
      });
    } catch ({ name }) {
      if (!current()) return; // we have left, or asked for it in another way
      this.#stepDown();
      if (name === "AbortError") {
        // It was taken away from us.
        this.#part.follow();
        this.#queue();
      } else {
        // No locks here, e.g. in a sandboxed frame: to each its own.
        this.leave();
        this.#part.lead();
      }
    }
  }

  #stepDown() {
    this.#release?.();
    this.#release = null;
  }

  #message({ kind, message }) {
    fireDue(); // whoever asks may be looked at, while this tab is hidden and its timers are late
    if (kind === "asked") {
      if (this.leads) this.tell(this.#part.answer(message));
    } else if (!this.leads) {
      this.#heardAt = performance.now();
      this.#askedAt = 0;
      this.#part.hear(message);
    }
  }

  #ask() {
    if (!this.#askedAt) {
      const [least, most] = PATIENCE_MS;
      this.#askedAt = performance.now();
      this.#patience = least + Math.random() * (most - least);
    }
    this.#channel.postMessage({ kind: "asked", message: this.#part.question() });
  }

  #check() {
    fireDue(); // the machine may have slept
    if (this.leads) return;
    const now = performance.now();
    if (this.#askedAt && now - this.#askedAt > this.#patience) {
      this.#askedAt = 0;
      this.#heardAt = now;
      this.#queue({ steal: true });
    } else if (now - this.#heardAt > QUIET_MS) {
      this.#ask();
    }
  }
}
