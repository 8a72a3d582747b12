// How much what is shown can be trusted. It follows from three facts, in whatever order they come.

// hearing: of a stream or poll that works. known: there is a value. online: what the browser says, which
// is right when it says no, except that it knows nothing of this machine's own addresses.
export function stateOf({ hearing, known, online }) {
  if (hearing) return "live"; // what is shown is the newest
  if (!online) return "offline"; // it was, once; nothing can come
  return known ? "stale" : "connecting"; // it was; or there is nothing yet
}
