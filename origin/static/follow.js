// follow(topic, callbacks): the events of one Kafka topic, without a gap, whatever happens to the
// connection.

import { Parser } from "./sse.js";

const SILENCE_MS = 45_000;
const CONNECT_MS = 15_000;
const BACKOFF_MS = [250, 15_000];

// callbacks: onEvent({event, id, data}), onState("connecting" | "live" | "stale").
// Returns {close()}.
export function follow(topic, { onEvent, onState = () => {} }) {
  const url = `/events/${encodeURIComponent(topic)}/`;
  let lastId = "";
  let failures = 0;
  let closed = false;
  let timer = 0;
  let abort = null;

  function later() {
    if (closed) return;
    onState(lastId ? "stale" : "connecting");
    // Full jitter: after a restart of the edge not everybody may come back at once.
    const most = Math.min(BACKOFF_MS[1], BACKOFF_MS[0] * 2 ** failures++);
    timer = setTimeout(connect, Math.random() * most);
  }

  async function connect() {
    const mine = (abort = new AbortController());
    let silence = setTimeout(() => mine.abort(), CONNECT_MS);
    try {
      const headers = { Accept: "text/event-stream" };
      if (lastId) headers["Last-Event-ID"] = lastId;
      const answer = await fetch(url, { headers, cache: "no-store", signal: mine.signal });
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || closed) break;
        clearTimeout(silence);
        silence = setTimeout(() => mine.abort(), SILENCE_MS);
        parser.feed(value, onEvent);
        lastId = parser.lastId || lastId;
        failures = 0;
        onState("live");
      }
    } catch {
      // Whatever it was, the answer is the same: come back in a while.
    }
    clearTimeout(silence);
    later();
  }

  onState("connecting");
  connect();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      abort?.abort();
    },
  };
}
