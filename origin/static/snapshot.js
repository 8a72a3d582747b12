// Snapshots with their 64-bit value as exact text: JSON.parse would round beyond 2^53.

function show(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// One snapshot; `text` is its value as it is to be shown.
export function parseSnapshot(json) {
  const snapshot = JSON.parse(json);
  const exact = /"value":\s*(-?\d+)\s*[,}]/.exec(json);
  snapshot.text = Number.isInteger(snapshot.value) && exact ? exact[1] : show(snapshot.value);
  return snapshot;
}

// The releases of a history, oldest first.
export function parseHistory(json) {
  const { releases } = JSON.parse(json);
  const exact = new Map();
  for (const [, digits, version] of json.matchAll(/"value":\s*(-?\d+),\s*"version":\s*(\d+)/g)) {
    exact.set(Number(version), digits);
  }
  for (const release of releases) {
    const digits = Number.isInteger(release.value) ? exact.get(release.version) : undefined;
    release.text = digits ?? show(release.value);
  }
  return releases;
}
