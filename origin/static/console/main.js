// The operators' console: one overview a second, shown everywhere at once.

import { Audit } from "./audit.js";
import { Budget } from "./budget.js";
import { Charts } from "./charts.js";
import { ask, logInAgain } from "./desk.js";
import { live } from "./live.js";
import { Parts } from "./parts.js";
import { Totals } from "./totals.js";
import { Tuning } from "./tuning.js";

const OLD_MS = 5_000; // without figures for so long, those on the page are old
const element = (id) => document.getElementById(id);

const audit = new Audit();
const tuning = new Tuning(() => audit.look());
const views = [
  new Totals(),
  new Parts((name) => {
    tuning.pick(name);
    element("tuning").scrollIntoView({ block: "start" });
    element("rate").focus({ preventScroll: true });
  }),
  tuning,
  new Budget(() => audit.look()),
];
const charts = new Charts();
let heardAt = -Infinity;

function showState() {
  const state = performance.now() - heardAt < OLD_MS ? "live" : heardAt > 0 ? "stale" : "connecting";
  if (element("state").dataset.state === state) return;
  element("state").dataset.state = state;
  element("state").querySelector("b").textContent = state;
  document.body.classList.toggle("old", state === "stale");
}

live({
  onOverview(overview) {
    heardAt = performance.now();
    for (const view of views) view.show(overview);
    charts.add(overview);
    showState();
  },
  onLost: showState,
  onEnded: logInAgain,
});
setInterval(showState, 1000);
charts.start();
audit.look();
element("logout").addEventListener("click", async () => {
  await ask("POST", "/console/logout");
  logInAgain();
});
