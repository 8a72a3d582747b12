// The console's stream: an overview a second, whatever happens to the connection.

import { Backoff } from "../backoff.js";
import { readStream } from "../request.js";
import { Parser } from "../sse.js";
import { pause } from "../timers.js";

const MOST_MS = 5_000;

// onOverview(overview); onLost(): nothing comes; onEnded(): the session is over.
export async function live({ onOverview, onLost, onEnded }) {
  const backoff = new Backoff(250, MOST_MS);
  const { signal } = new AbortController();
  for (;;) {
    const parser = new Parser();
    try {
      await readStream("/console/stream", {
        signal,
        onText(text) {
          parser.feed(text, ({ data }) => {
            backoff.reset();
            onOverview(JSON.parse(data));
          });
        },
      });
    } catch (error) {
      if (error.status === 401) return onEnded();
    }
    onLost();
    await pause(backoff.next());
  }
}
