// watch(name, callbacks): follow one live value, whatever happens to the connection.
// docs/client.md describes it for pages of other people.

import { Connection } from "./connection.js";
import { Past } from "./past.js";
import { parseSnapshot } from "./snapshot.js";
import { stateOf } from "./state.js";
import { Tabs, canShare } from "./tabs.js";

const SILENCE_MS = 30_000; // the edge's heartbeat, or a poll's end, and some more

// callbacks: a function that gets each snapshot, or an object with any of
//   onValue(snapshot)      the newest release; versions only grow, except after a reset
//   onState(state)         "connecting", "live", "stale" or "offline"
//   onHistory(releases)    the last releases, oldest first; at first, and when some were missed
// options: base, the site of Holdfast (this module's own); share, one connection for all tabs (true).
// Returns {state, close()}.
export function watch(name, callbacks, options = {}) {
  return new Watch(name, callbacks, options);
}

class Watch {
  #url;
  #callbacks;
  #version = -1;
  #json = "";
  #state = "";
  #hearing = false;
  #connection = null; // null: another tab has it
  #tabs = null;
  #past = null;
  #closing = new AbortController();

  constructor(name, callbacks, { base = new URL("/", import.meta.url), share = true }) {
    this.#url = new URL(`/values/${encodeURIComponent(name)}`, base);
    this.#callbacks = typeof callbacks === "function" ? { onValue: callbacks } : callbacks;
    if (share && canShare()) this.#tabs = new Tabs(`holdfast ${this.#url}`, this.#part());
    if (this.#callbacks.onHistory) {
      this.#past = new Past(`${this.#url}/history`, (releases) => this.#call("onHistory", releases));
      this.#past.fetch();
    }
    const listen = (target, type, listener) =>
      target.addEventListener(type, listener, { signal: this.#closing.signal });
    listen(window, "online", () => this.#wake());
    listen(window, "offline", () => this.#hear(false));
    // A page in the back-forward cache, or frozen, must not keep the others from their connection.
    listen(window, "pagehide", () => this.#leave());
    listen(window, "pageshow", ({ persisted }) => persisted && this.#join());
    listen(document, "freeze", () => this.#leave());
    listen(document, "resume", () => this.#join());
    listen(document, "visibilitychange", () => document.hidden || this.#wake());
    this.#show();
    this.#join();
  }

  get state() {
    return this.#state;
  }

  close() {
    this.#closing.abort();
    this.#past?.close();
    this.#leave();
  }

  #join() {
    if (this.#tabs) this.#tabs.join();
    else this.#lead();
  }

  #leave() {
    this.#tabs?.leave();
    this.#follow();
    this.#hear(false);
  }

  #lead() {
    this.#connection ??= new Connection(this.#url, this.#sink());
  }

  #follow() {
    this.#connection?.close();
    this.#connection = null;
  }

  // Somebody looks again, or there is a network again.
  #wake() {
    const connection = this.#connection;
    if (connection && (!this.#hearing || connection.silence > SILENCE_MS)) connection.renew();
  }

  // What a connection does with what it hears: it is for this tab and for the others.
  #sink() {
    const version = () => this.#version;
    return {
      get version() {
        return version();
      },
      take: (json) => {
        const news = this.#take(json);
        if (news) this.#tabs?.tell({ json });
        return news;
      },
      reset: () => {
        this.#version = -1;
        this.#tabs?.tell({ reset: true });
      },
      hear: (hearing) => {
        if (hearing !== this.#hearing) this.#tabs?.tell({ hearing });
        this.#hear(hearing);
      },
    };
  }

  // What this tab says to the others and hears of them.
  #part() {
    return {
      lead: () => this.#lead(),
      follow: () => this.#follow(),
      question: () => ({ version: this.#version }),
      answer: ({ version }) => ({
        hearing: this.#hearing,
        ...(version !== this.#version && { json: this.#json }),
      }),
      hear: ({ reset, json, hearing }) => {
        if (reset) this.#version = -1;
        if (json) this.#take(json);
        if (hearing !== undefined) this.#hear(hearing);
      },
    };
  }

  #take(json) {
    const snapshot = parseSnapshot(json);
    if (snapshot.version <= this.#version) return false;
    // Something between the two was missed, and this shows how it ended. Only who draws a past needs it.
    if (this.#json && snapshot.prev !== this.#version) this.#past?.fetch({ again: true });
    this.#version = snapshot.version;
    this.#json = json;
    this.#call("onValue", snapshot);
    return true;
  }

  #hear(hearing) {
    this.#hearing = hearing;
    this.#show();
  }

  #show() {
    const known = this.#json !== "";
    const state = stateOf({ hearing: this.#hearing, known, online: navigator.onLine !== false });
    if (state === this.#state) return;
    this.#state = state;
    this.#call("onState", state);
  }

  // A fault of the page's own must not end what feeds it.
  #call(name, ...values) {
    try {
      this.#callbacks[name]?.(...values);
    } catch (error) {
      reportError(error);
    }
  }
}
