// What a rate does to a value: what the arithmetic says, beside what is measured.

import { ask, valuePath } from "./desk.js";
import { duration, percent, perSecond, UNKNOWN } from "./words.js";

const SOON_MS = 150;
const AGAIN_MS = 5_000;
const REMEMBER_MS = 60_000;

const ROWS = [
  ["Releases", ({ releases }) => perSecond(releases), ({ value }) => perSecond(value.releases_per_s)],
  ["Age on screen, mean", ({ mean_age: age }) => duration(age), ({ age }) => duration(age)],
  ["Age on screen, p99", ({ p99_age: age }) => duration(age), ({ oldest }) => duration(oldest)],
  ["Origin asked, reads", ({ origin }) => perSecond(origin), ({ totals }) => perSecond(totals.misses_per_s)],
  ["Hit ratio", ({ hit_ratio: ratio }) => percent(ratio), ({ totals }) => percent(totals.hit_ratio)],
];

export class Model {
  #cells;
  #ages = []; // {at, age} of the value, of the last minute
  #name = null;
  #rate = 0;
  #timer = 0;
  #asked = 0;

  constructor() {
    const body = document.querySelector("#model tbody");
    this.#cells = ROWS.map(([title]) => {
      const row = body.insertRow(), name = document.createElement("th");
      name.scope = "row";
      name.textContent = title;
      row.append(name);
      return [row.insertCell(), row.insertCell()];
    });
  }

  // Soon: a slider on its way asks for every place that it passes.
  predict(name, rate) {
    if (name !== this.#name) this.#ages = [];
    this.#name = name;
    this.#rate = rate;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), SOON_MS);
  }

  measure(overview, value) {
    if (!value || value.name !== this.#name) return;
    const now = overview.at_ms;
    // While nothing changes, what is shown is not old.
    const age = value.updates_per_s && value.released_at_ms ? Math.max(0, now - value.released_at_ms) / 1000 : 0;
    this.#ages.push({ at: now, age });
    this.#ages = this.#ages.filter(({ at }) => at > now - REMEMBER_MS);
    const ages = this.#ages.map((each) => each.age).sort((one, other) => one - other);
    const mean = ages.reduce((sum, each) => sum + each, 0) / ages.length;
    const measured = { value, totals: overview.totals, age: mean, oldest: ages[Math.ceil(0.99 * ages.length) - 1] };
    ROWS.forEach(([, , text], place) => { this.#cells[place][1].textContent = text(measured); });
    if (performance.now() - this.#asked > AGAIN_MS) this.#ask();
  }

  async #ask() {
    this.#asked = performance.now();
    const rate = this.#rate;
    const answer = await ask("GET", `${valuePath(this.#name)}/prediction?rate=${rate}`);
    if (rate !== this.#rate) return;
    document.getElementById("model-rate").textContent = `${rate}/s`;
    ROWS.forEach(([, text], place) => {
      this.#cells[place][0].textContent = answer.ok ? text(answer.body.predicted) : UNKNOWN;
    });
  }
}
