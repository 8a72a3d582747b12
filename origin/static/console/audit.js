// The newest changes: who set what, and what it was before.

import { ask } from "./desk.js";
import { Table } from "./table.js";

const text = (thing) => {
  if (thing === null) return "nothing set";
  const pairs = Object.entries(thing).map(([name, value]) => `${name} ${value ?? "no limit"}`);
  return pairs.join(", ") || "yes";
};

export class Audit {
  #table = new Table(document.getElementById("audit"), [
    { title: "When", text: ({ at }) => new Date(at).toLocaleString() },
    { title: "Who", text: ({ who }) => who },
    { title: "What", text: ({ key }) => key },
    { title: "From", text: ({ from }) => text(from) },
    { title: "To", text: ({ to }) => text(to) },
  ], { key: ({ id }) => id, none: "nobody has changed anything" });

  async look() {
    const { ok, body } = await ask("GET", "/api/audit?limit=10");
    if (ok) this.#table.show(body.changes);
  }
}
