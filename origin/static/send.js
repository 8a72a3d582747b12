// Sends one update and says what became of it.

// Returns what to tell the user. Nothing is sent twice: an update that was not acknowledged may have
// been written all the same, and would then count twice.
export async function sendUpdate(name, update) {
  let answer;
  try {
    answer = await fetch(`/values/${encodeURIComponent(name)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(update),
    });
  } catch {
    return "no connection: it may not have counted";
  }
  if (answer.status === 202) return "counted";
  if (answer.status >= 500) return "no acknowledgement: it may not have counted; try again soon";
  const problem = await answer.json().catch(() => ({}));
  return `refused: ${problem.detail ?? answer.status}`;
}
