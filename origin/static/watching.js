// How many are watching. The page asks for the value `viewers` instead of following it: a second
// connection of each page would count as a second viewer, and the edge answers these requests.

const EVERY_MS = [4_000, 6_000]; // not all pages at once

export async function showWatching(element) {
  const [least, most] = EVERY_MS;
  for (;;) {
    if (!document.hidden) await show(element);
    await new Promise((done) => setTimeout(done, least + Math.random() * (most - least)));
  }
}

async function show(element) {
  try {
    const answer = await fetch("/values/viewers", { signal: AbortSignal.timeout(4_000) });
    const total = answer.ok ? (await answer.json()).value?.total : undefined;
    element.textContent = total === undefined ? "" : `${total} watching`;
  } catch {
    element.textContent = ""; // nobody to ask: better nothing than an old number
  }
}
