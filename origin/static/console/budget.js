// The purge budget: what is left, and its limits.

import { ask, said } from "./desk.js";
import { number } from "./words.js";

const element = (id) => document.getElementById(id);
const PATH = "/api/budget";

export class Budget {
  #onChanged;
  #shown = null;

  constructor(onChanged) {
    this.#onChanged = onChanged;
    element("limits").addEventListener("submit", (event) => {
      event.preventDefault();
      const limit = (id) => (element(id).value === "" ? null : element(id).valueAsNumber);
      this.#change("PUT", { per_second: limit("per-second"), per_hour: limit("per-hour") }, "set");
    });
    element("limits-reset").addEventListener("click", () => this.#change("DELETE", undefined, "taken back"));
  }

  show({ budget }) {
    const pairs = [
      ["Left this second", budget.left_second === null ? "no limit" : `${number(budget.left_second)} keys`],
      ["Left this hour", budget.left_hour === null ? "no limit" : `${number(budget.left_hour, 0)} keys`],
      ["Values that wait", number(budget.waiting, 0)],
    ];
    element("budget").replaceChildren(...pairs.map(([name, text]) => {
      const pair = document.createElement("div");
      const term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = name;
      figure.textContent = text;
      pair.append(term, figure);
      return pair;
    }));
    const limits = `${budget.per_second} ${budget.per_hour}`;
    if (limits === this.#shown || element("limits").contains(document.activeElement)) return;
    this.#shown = limits;
    element("per-second").value = budget.per_second ?? "";
    element("per-hour").value = budget.per_hour ?? "";
  }

  async #change(method, body, done) {
    const { etag } = await ask("GET", PATH);
    const answer = await ask(method, PATH, { body, etag });
    element("limits-said").textContent = said(answer, done);
    this.#shown = null;
    this.#onChanged();
  }
}
