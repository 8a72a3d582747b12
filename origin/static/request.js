// Requests that end: by an answer, by their time, or by the caller's signal.

import { after } from "./timers.js";

const CONNECT_MS = 15_000;
const HEARTBEAT_MS = 20_000; // the edge sends a comment at least this often
const SILENCE_MS = 2 * HEARTBEAT_MS + 5_000;

const RETRY_MOST_MS = 60_000;

// An answer that is none of those that were asked for. status: of HTTP. retryAfterMs: for how long the
// server does not want to be asked again, as far as this script may know.
export class Refused extends Error {
  constructor({ status, headers }) {
    super(`status ${status}`);
    this.status = status;
    const ms = 1000 * Number(headers.get("Retry-After"));
    this.retryAfterMs = ms > 0 ? Math.min(ms, RETRY_MOST_MS) : 0;
  }
}

// The text of an answer, "" of a 204. Rejects with Refused, or with fetch's errors; also after `ms`.
export async function readText(url, { ms, signal }) {
  const own = new Ending(signal);
  own.within(ms);
  try {
    const answer = await fetch(url, { cache: "no-store", signal: own.signal });
    if (!answer.ok) throw new Refused(answer);
    return await answer.text();
  } finally {
    own.end();
  }
}

// One event stream, until it ends; onText gets each piece. Rejects as above: also when no byte comes for
// too long.
export async function readStream(url, { headers = {}, signal, onText }) {
  const own = new Ending(signal);
  own.within(CONNECT_MS);
  try {
    const answer = await fetch(url, {
      headers: { Accept: "text/event-stream", ...headers }, cache: "no-store", signal: own.signal,
    });
    const type = answer.headers.get("Content-Type") ?? "";
    // A 200 of another type is a page of some hotel's network.
    if (!answer.ok || !type.startsWith("text/event-stream")) throw new Refused(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      own.within(SILENCE_MS);
      onText(value);
    }
  } finally {
    own.end();
  }
}

// A signal that aborts with the caller's, or when its time is over. (AbortSignal.any is too new.)
class Ending {
  #own = new AbortController();
  #caller;
  #cancel = () => {};
  #abort = () => this.#own.abort();

  constructor(caller) {
    this.#caller = caller;
    if (caller.aborted) this.#abort();
    else caller.addEventListener("abort", this.#abort);
  }

  get signal() {
    return this.#own.signal;
  }

  within(ms) {
    this.#cancel();
    this.#cancel = after(ms, this.#abort);
  }

  end() {
    this.#cancel();
    this.#caller.removeEventListener("abort", this.#abort);
    this.#own.abort();
  }
}
