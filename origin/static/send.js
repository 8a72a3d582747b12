// Sends one update and says what became of it.

import { Backoff } from "./backoff.js";
import { pause } from "./timers.js";

const PATIENCE_MS = 60_000;
const MOST_MS = 4_000;

// Not crypto.randomUUID(): browsers have it only on pages that came over TLS or from this machine.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Returns what to tell the user. What was not acknowledged is sent again, for a minute: with one
// idempotency key for all attempts it counts once, even if an acknowledgement got lost.
export async function sendUpdate(name, update) {
  const key = newKey();
  const deadline = performance.now() + PATIENCE_MS;
  const backoff = new Backoff(250, MOST_MS);
  while (performance.now() < deadline) {
    let answer = null;
    try {
      answer = await fetch(`/values/${encodeURIComponent(name)}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify(update),
      });
    } catch {
      // No connection: as if it were a 503.
    }
    if (answer?.status === 202) return "counted";
    if (answer && answer.status < 500) {
      const problem = await answer.json().catch(() => ({}));
      return `refused: ${problem.detail ?? answer.status}`;
    }
    await pause(backoff.next());
  }
  return "no acknowledgement within a minute: it may not have counted";
}
