// follow(topic, callbacks): the events of one Kafka topic, without a gap, whatever happens to the
// connection.

import { Backoff } from "./backoff.js";
import { readStream } from "./request.js";
import { Parser } from "./sse.js";
import { pause } from "./timers.js";

// callbacks: onEvent({event, id, data}), onState("connecting" | "live" | "stale").
// Returns {close()}.
export function follow(topic, { onEvent, onState = () => {} }) {
  const url = `/events/${encodeURIComponent(topic)}/`;
  const closing = new AbortController();
  const backoff = new Backoff();
  let lastId = "";

  async function connect() {
    const parser = new Parser();
    try {
      await readStream(url, {
        headers: lastId ? { "Last-Event-ID": lastId } : {},
        signal: closing.signal,
        onText(text) {
          parser.feed(text, onEvent);
          lastId = parser.lastId || lastId;
          backoff.reset();
          onState("live");
        },
      });
    } catch {
      // Whatever it was, the answer is the same: come back in a while.
    }
  }

  async function keepConnected() {
    while (!closing.signal.aborted) {
      await connect();
      if (closing.signal.aborted) return;
      onState(lastId ? "stale" : "connecting");
      await pause(backoff.next(), closing.signal);
    }
  }

  onState("connecting");
  keepConnected();
  return { close: () => closing.abort() };
}
