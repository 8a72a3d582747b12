// One tab's way to the newest release of a value: a stream, and long-polls beside it as long as the
// stream does not prove itself.

import { Backoff } from "./backoff.js";
import { readStream, readText } from "./request.js";
import { Parser } from "./sse.js";
import { after, pause } from "./timers.js";

const FIRST_MS = 4_000; // a stream whose first byte takes longer may be buffered on its way
const SECOND_MS = 25_000; // the edge's heartbeat and some more: else only its beginning got through
const SETTLED_MS = 1_000; // bytes that come later than that after the first were not gathered with it
const STRIKES = 4;
const WAIT_S = 25;
const POLL_MS = (WAIT_S + 15) * 1000;
const EARLY_MS = 5_000; // a poll that ends sooner than that, without news, was not held
// Where polls work and streams don't, a stream is tried again after that long, ms.
const AGAIN_MS = [5_000, 600_000];

export class Connection {
  #url;
  #sink;
  #streams = null; // AbortController of the streams
  #polls = null; // and of the polls; null: there are none
  #quick = new Backoff();
  #slow = new Backoff(...AGAIN_MS);
  #strikes = 0;
  #heard = { stream: false, poll: false };
  #heardAt = Date.now(); // this clock goes on while the machine sleeps

  // url: of the value. sink: version (what is shown, -1 = nothing), take(json) -> whether it is new,
  // reset() (what is shown leads to nothing), hear(whether somebody is there).
  constructor(url, sink) {
    this.#url = url;
    this.#sink = sink;
    this.renew();
  }

  // Connect anew, at once: what there is may be dead, whatever it looks like.
  renew() {
    this.close();
    this.#quick.reset();
    this.#slow.reset();
    this.#heardAt = Date.now();
    this.#hear({ stream: false, poll: false });
    this.#streams = new AbortController();
    this.#keepStreaming(this.#streams.signal);
  }

  // For how long nothing was heard, ms; also if no timer fired meanwhile.
  get silence() {
    return Date.now() - this.#heardAt;
  }

  close() {
    this.#streams?.abort();
    this.#endPolls();
  }

  #hear(change) {
    Object.assign(this.#heard, change);
    if (change.stream || change.poll) this.#heardAt = Date.now();
    this.#sink.hear(this.#heard.stream || this.#heard.poll);
  }

  #ask(parameters) {
    const { version } = this.#sink;
    const url = new URL(this.#url);
    url.search = new URLSearchParams({ ...parameters, ...(version >= 0 && { after: version }) });
    return url;
  }

  async #keepStreaming(signal) {
    while (!signal.aborted) {
      const retryAfterMs = await this.#stream(signal);
      if (signal.aborted) return;
      this.#hear({ stream: false });
      const backoff = this.#heard.poll ? this.#slow : this.#quick;
      await pause(retryAfterMs + backoff.next(), signal);
    }
  }

  // Until it is over. For how long the server wants no other, ms.
  async #stream(signal) {
    const parser = new Parser();
    let firstAt = 0;
    let settled = false;
    let strike = 2;
    let wanted = 0;
    let cancelDoubt = after(FIRST_MS, () => this.#startPolls());
    const onText = (text) => {
      cancelDoubt();
      firstAt ||= performance.now();
      settled ||= performance.now() - firstAt > SETTLED_MS;
      if (settled) this.#trustStreams();
      else cancelDoubt = after(SECOND_MS, () => this.#startPolls());
      parser.feed(text, (event) => this.#event(event));
      this.#hear({ stream: true });
    };
    try {
      await readStream(this.#ask({ as: "sse" }), { signal, onText });
    } catch ({ status = 0, retryAfterMs = 0 }) {
      wanted = retryAfterMs;
      // A server that is away says little about streams.
      if (!firstAt && (status === 0 || status === 429 || status >= 500)) strike = 1;
    }
    cancelDoubt();
    if (signal.aborted || settled) return wanted;
    this.#strikes += strike;
    if (this.#strikes >= STRIKES) this.#startPolls();
    return wanted;
  }

  #event({ event, data }) {
    if (event === "reset") this.#sink.reset();
    else if (event === "message") this.#sink.take(data);
  }

  #trustStreams() {
    this.#strikes = 0;
    this.#quick.reset();
    this.#slow.reset();
    this.#endPolls();
  }

  #startPolls() {
    if (this.#polls) return;
    this.#polls = new AbortController();
    this.#keepPolling(this.#polls.signal);
  }

  #endPolls() {
    this.#polls?.abort();
    this.#polls = null;
    this.#heard.poll = false;
  }

  async #keepPolling(signal) {
    const backoff = new Backoff();
    while (!signal.aborted) {
      const askedAt = performance.now();
      const asked = this.#sink.version;
      let answer = null;
      let wanted = 0;
      try {
        answer = await readText(this.#ask({ wait: WAIT_S }), { ms: POLL_MS, signal });
      } catch ({ retryAfterMs = 0 }) {
        wanted = retryAfterMs; // as with streams: come back in a while
      }
      if (signal.aborted) return;
      const news = Boolean(answer) && this.#answer(asked, answer);
      this.#hear({ poll: answer !== null });
      const held = answer !== null && performance.now() - askedAt >= EARLY_MS;
      if (news || held) backoff.reset();
      else await pause(wanted + backoff.next(), signal);
    }
  }

  // Whether a poll's answer was new. An older version than the one that was asked with says that the
  // value began anew, unless the stream was faster.
  #answer(asked, json) {
    if (JSON.parse(json).version < asked && this.#sink.version === asked) this.#sink.reset();
    return this.#sink.take(json);
  }
}
