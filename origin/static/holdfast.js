// watch(name, callbacks): follow one live value, whatever happens to the connection.

import { Parser } from "./sse.js";

const HEARTBEAT_MS = 20_000; // the edge sends a comment at least this often
const SILENCE_MS = 2 * HEARTBEAT_MS + 5_000;
const CONNECT_MS = 15_000;
const BACKOFF_MS = [250, 15_000];

// The snapshot, with its 64-bit value as exact text: JSON.parse would round beyond 2^53.
export function parseSnapshot(json) {
  const snapshot = JSON.parse(json);
  const exact = /"value":\s*(-?\d+)\s*[,}]/.exec(json);
  snapshot.text = Number.isInteger(snapshot.value) && exact ? exact[1] : show(snapshot.value);
  return snapshot;
}

function show(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// callbacks: onValue(snapshot), onState("connecting" | "live" | "stale" | "offline").
// Versions that are shown only grow, except after a reset. Returns {close()}.
export function watch(name, { onValue, onState = () => {} }) {
  const base = `/values/${encodeURIComponent(name)}?as=sse`;
  let version = -1;
  let failures = 0;
  let closed = false;
  let timer = 0;
  let abort = null;
  let state = "";

  function set(next) {
    if (next !== state) onState((state = next));
  }

  function later() {
    if (closed) return;
    set(navigator.onLine === false ? "offline" : version >= 0 ? "stale" : "connecting");
    // Full jitter: after a restart of the edge not everybody may come back at once.
    const most = Math.min(BACKOFF_MS[1], BACKOFF_MS[0] * 2 ** failures++);
    clearTimeout(timer);
    timer = setTimeout(connect, Math.random() * most);
  }

  function take({ event, data }) {
    if (event === "reset") {
      version = -1;
    } else if (event === "message") {
      const snapshot = parseSnapshot(data);
      if (snapshot.version > version) {
        version = snapshot.version;
        onValue(snapshot);
      }
    }
  }

  async function connect() {
    clearTimeout(timer);
    abort?.abort();
    const mine = (abort = new AbortController());
    let silence = setTimeout(() => mine.abort(), CONNECT_MS);
    try {
      const answer = await fetch(version < 0 ? base : `${base}&after=${version}`, {
        headers: { Accept: "text/event-stream" }, cache: "no-store", signal: mine.signal,
      });
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(() => mine.abort(), SILENCE_MS);
        parser.feed(value, take);
        failures = 0;
        set("live");
      }
    } catch {
      // Whatever it was, the answer is the same: come back in a while.
    }
    clearTimeout(silence);
    if (mine === abort) later();
  }

  function now() {
    failures = 0;
    if (!closed && state !== "live") connect();
  }

  function wake() {
    if (document.visibilityState === "visible") now();
  }

  function restored(event) {
    if (event.persisted) connect();
  }

  addEventListener("online", now);
  addEventListener("offline", later);
  addEventListener("pageshow", restored);
  document.addEventListener("visibilitychange", wake);
  set("connecting");
  connect();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      abort?.abort();
      removeEventListener("online", now);
      removeEventListener("offline", later);
      removeEventListener("pageshow", restored);
      document.removeEventListener("visibilitychange", wake);
    },
  };
}
