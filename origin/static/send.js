// Sends an update, again if the server says that it could not take it.

const TRIES = 6;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Returns what to tell the user; onNews(text) tells of tries in between. Only a 503 is tried again:
// it says that the update was not acknowledged. The key names the click, the same on every try.
export async function sendUpdate(name, update, onNews = () => {}) {
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  for (let turn = 1; turn <= TRIES; turn++) {
    let answer;
    try {
      answer = await fetch(`/values/${encodeURIComponent(name)}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify(update),
      });
    } catch {
      return "not sent: no connection";
    }
    if (answer.status === 202) return "sent";
    if (answer.status !== 503) {
      const problem = await answer.json().catch(() => ({}));
      return `refused: ${problem.detail ?? answer.status}`;
    }
    const wait = Number(answer.headers.get("Retry-After")) || 1;
    onNews(`busy, trying again in ${wait} s (${turn} of ${TRIES})`);
    await sleep(1000 * (wait + Math.random()));
  }
  return "not sent: the service can't take it now";
}
