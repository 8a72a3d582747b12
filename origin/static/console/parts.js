// Tables: values, edge nodes, Pushpins, partitions.

import { Table } from "./table.js";
import { ago, duration, ms, number, percent, perSecond, UNKNOWN } from "./words.js";

const table = (id, columns, options) => new Table(document.getElementById(id), columns, options);
let now = 0; // of the overview that is shown, ms since 1970

function stateOf(value) {
  if (value.paused_by !== null) return `paused by ${value.paused_by}`;
  if (value.waits_for_budget) return "waits for budget";
  if (value.working === value.released) return "up to date";
  return isLate(value) ? "late" : "changing";
}

// Longer than its own rate and settle explain.
const isLate = ({ behind_s: behind, rate, settle }) => behind > 1 / rate + settle + 2;
const STATE_MARKS = { "up to date": "", changing: "", late: "bad" };

const owed = ({ owed_since_ms: since }) => (since === null ? "nothing" : `for ${duration((now - since) / 1000)}`);
const late = ({ owed_since_ms: since }) => (since === null ? "" : "bad");
const failing = ({ failed_last_minute: failed }) => (failed ? "warn" : "");

const NODE = [
  { title: "Node", text: ({ name }) => name },
  { title: "At", text: ({ url }) => url },
];
const SENT = (what) => [
  { title: `${what} p50`, text: ({ p50_ms }) => ms(p50_ms) },
  { title: "p99", text: ({ p99_ms }) => ms(p99_ms) },
  { title: "Sent", text: ({ sent_per_s }) => perSecond(sent_per_s) },
  { title: "Failed, last minute", text: ({ failed_last_minute: failed }) => number(failed, 0), mark: failing },
  { title: "Owed", text: owed, mark: late },
];

export class Parts {
  #values;
  #edges;
  #pushpins;
  #partitions;

  // onPick(name): a value was picked.
  constructor(onPick) {
    this.#values = table("values", [
      { title: "Value", text: ({ name }) => name, press: ({ name }) => onPick(name) },
      { title: "On screens", text: ({ released }) => released ?? UNKNOWN, mark: () => "text" },
      { title: "Working", text: ({ working }) => working ?? UNKNOWN, mark: () => "text" },
      { title: "Updates", text: (value) => perSecond(value.updates_per_s) },
      { title: "Releases", text: (value) => perSecond(value.releases_per_s) },
      { title: "Rate", text: ({ rate, burst }) => `${rate}/s${burst > 1 ? `, ${burst} at once` : ""}` },
      { title: "Tokens", text: ({ tokens }) => number(tokens) },
      { title: "Released", text: (value) => ago(value.released_at_ms, now) },
      { title: "Behind", text: ({ behind_s: behind }) => (behind ? duration(behind) : "no") },
      { title: "State", text: stateOf, mark: (value) => STATE_MARKS[stateOf(value)] ?? "warn" },
    ], { key: ({ name }) => name, none: "no values yet" });
    this.#edges = table("edges", [
      ...NODE, ...SENT("Purge"),
      { title: "Hit ratio", text: ({ hit_ratio: ratio }) => percent(ratio) },
      { title: "Asked", text: (edge) => perSecond(edge.requests_per_s) },
      { title: "Misses", text: (edge) => perSecond(edge.misses_per_s) },
      { title: "Asks the origin", text: (edge) => perSecond(edge.origin_requests_per_s) },
    ], { key: ({ url }) => url, none: "no edge nodes" });
    this.#pushpins = table("pushpins", [
      ...NODE, ...SENT("Publish"),
      { title: "Viewers", text: ({ viewers }) => number(viewers, 0) },
      { title: "Deliveries", text: (node) => perSecond(node.deliveries_per_s) },
    ], { key: ({ url }) => url, none: "no Pushpins" });
    this.#partitions = table("partitions", [
      { title: "Partition", text: ({ topic, number: place }) => `${topic}[${place}]` },
      { title: "Read by", text: ({ reader }) => reader ?? "nobody", mark: ({ reader }) => (reader ? "" : "bad") },
      { title: "To apply", text: ({ lag }) => number(lag, 0) },
    ], { key: ({ topic, number: place }) => `${topic} ${place}`, none: "no partitions" });
  }

  show(overview) {
    now = overview.at_ms;
    this.#values.show(overview.values);
    this.#edges.show(overview.edges);
    this.#pushpins.show(overview.pushpins);
    this.#partitions.show(overview.partitions);
    const more = overview.totals.values - overview.values.length;
    document.getElementById("values-note").textContent =
      more > 0 ? `and ${number(more, 0)} more that are less busy: holdfast values` : "";
  }
}
