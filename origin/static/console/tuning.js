// Tuning the value that is picked, its family, or all: rate, burst, threshold, settle; pause, resume, purge.

import { ask, said, valuePath } from "./desk.js";
import { Model } from "./model.js";

const element = (id) => document.getElementById(id);
const KNOBS = ["rate", "burst", "threshold", "settle"];
const SOON_MS = 300; // a key that is held down is one change
const MOST_BURST = 100;

// The slider is logarithmic: two decades each way around 1/s.
const ofSlider = (place) => Number((10 ** (place / 100)).toPrecision(3));
const toSlider = (rate) => Math.round(Math.max(-200, Math.min(200, 100 * Math.log10(rate))));

export class Tuning {
  #model = new Model();
  #onChanged;
  #name = null;
  #etag = "*";
  #set = {};
  #rules = null;
  #changes = {};
  #timer = 0;
  #busy = Promise.resolve();

  // onChanged(): something was set.
  constructor(onChanged) {
    this.#onChanged = onChanged;
    const both = (slider, exact, from, to) => {
      slider.addEventListener("input", () => { exact.value = from(slider.valueAsNumber); this.#preview(); });
      exact.addEventListener("input", () => {
        if (exact.validity.valid && exact.value) slider.value = to(exact.valueAsNumber);
        this.#preview();
      });
    };
    both(element("rate"), element("rate-exact"), ofSlider, toSlider);
    both(element("burst"), element("burst-exact"), Number, (burst) => Math.min(MOST_BURST, burst));
    for (const [id, knob] of [["rate", "rate"], ["rate-exact", "rate"], ["burst", "burst"], ["burst-exact", "burst"],
      ["threshold", "threshold"], ["settle", "settle"]]) {
      element(id).addEventListener("change", () => this.#take(knob));
    }
    element("knobs").addEventListener("submit", (event) => event.preventDefault());
    element("scope").addEventListener("change", () => this.#load());
    element("reset").addEventListener("click", () => this.#reset());
    for (const act of ["pause", "resume", "purge"]) element(act).addEventListener("click", () => this.#act(act));
  }

  async pick(name) {
    this.#name = name;
    for (const id of ["tuned-name", "model-name"]) element(id).textContent = name;
    element("scope").value = "value";
    await this.#load();
  }

  show(overview) {
    if (this.#name === null && overview.values.length) this.pick(overview.values[0].name);
    const value = overview.values.find(({ name }) => name === this.#name);
    this.#model.measure(overview, value);
    if (!value) return;
    const paused = value.paused_by !== null;
    element("pause").disabled = paused;
    element("resume").disabled = !paused;
    // Somebody else has set it: show that, unless this operator is about to.
    const idle = !Object.keys(this.#changes).length && !element("knobs").contains(document.activeElement);
    if (idle && this.#rules && this.#isValue && KNOBS.some((knob) => this.#rules[knob] !== value[knob])) this.#load();
  }

  get #isValue() {
    return element("scope").value === "value";
  }

  get #path() {
    const scope = element("scope").value;
    if (scope === "value") return `${valuePath(this.#name)}/rate`;
    return scope === "default" ? "/api/defaults" : `/api/families/${encodeURIComponent(scope).replace("%2A", "*")}`;
  }

  async #load() {
    const path = this.#path;
    const answer = await ask("GET", path);
    if (path !== this.#path) return;
    if (answer.ok) this.#know(answer);
    else element("said").textContent = said(answer);
  }

  #know({ body, etag }) {
    this.#etag = etag;
    this.#set = body.set ?? {};
    this.#rules = body.rules;
    const { rate, burst, threshold, settle } = body.rules;
    element("rate").value = toSlider(rate);
    element("rate-exact").value = rate;
    element("burst").value = Math.min(MOST_BURST, burst);
    element("burst-exact").value = burst;
    element("threshold").value = threshold;
    element("settle").value = settle;
    element("source").textContent = body.who ? `set by ${body.who}` : "as values.toml says";
    element("reset").disabled = !body.who;
    this.#preview();
  }

  #preview() {
    const rate = element("rate-exact").valueAsNumber;
    element("rate").setAttribute("aria-valuetext", `${rate} releases per second`);
    if (this.#name !== null && rate > 0) this.#model.predict(this.#name, rate);
  }

  #take(knob) {
    const input = element(knob === "rate" || knob === "burst" ? `${knob}-exact` : knob);
    if (!input.checkValidity() || !input.value) {
      element("said").textContent = `${knob}: ${input.validationMessage || "a number is missing"}`;
      return;
    }
    this.#changes[knob] = input.valueAsNumber;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), SOON_MS);
  }

  #send() {
    const changes = this.#changes, path = this.#path;
    this.#changes = {};
    this.#busy = this.#busy.then(async () => {
      const what = Object.entries(changes).map(([knob, value]) => `${knob} ${value}`).join(", ");
      element("said").textContent = `setting ${what} …`;
      await this.#done(await ask("PUT", path, { body: { ...this.#set, ...changes }, etag: this.#etag }), `set: ${what}`);
    });
  }

  #reset() {
    this.#busy = this.#busy.then(async () => {
      await this.#done(await ask("DELETE", this.#path, { etag: this.#etag }), "taken back");
    });
  }

  async #done(answer, text) {
    if (answer.ok) this.#know(answer);
    else await this.#load();
    element("said").textContent = said(answer, text);
    this.#onChanged();
  }

  async #act(act) {
    element("said").textContent = "asking …";
    const answer = await ask("POST", `${valuePath(this.#name)}/${act}`);
    const done = { pause: "paused", resume: "going on", purge: "purged at every edge node" }[act];
    element("said").textContent = said(answer, `${this.#name}: ${done}`);
    this.#onChanged();
  }
}
