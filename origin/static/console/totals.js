// The whole service at one glance: alerts, and a row of figures.

import { duration, number, percent, perSecond } from "./words.js";

const TILES = [
  ["Updates", ({ totals }) => perSecond(totals.updates_per_s)],
  ["Releases", ({ totals }) => perSecond(totals.releases_per_s)],
  ["Viewers", ({ totals }) => number(totals.viewers, 0)],
  ["Deliveries", ({ totals }) => perSecond(totals.deliveries_per_s)],
  ["Hit ratio", ({ totals }) => percent(totals.hit_ratio)],
  ["Origin asked", ({ totals }) => perSecond(totals.origin_requests_per_s)],
  ["Behind", ({ totals }) => duration(totals.behind_s)],
  ["To apply", ({ totals }) => number(totals.lag, 0)],
  ["Budget left", ({ budget }) => left(budget)],
];
const LEVELS = { bad: "Problem", warn: "Note" };

function left({ left_second: second, left_hour: hour }) {
  if (second === null && hour === null) return "no limit";
  return number(Math.max(0, Math.min(second ?? Infinity, hour ?? Infinity)), 0);
}

export class Totals {
  #figures;
  #alerts = document.getElementById("alerts");
  #count = document.getElementById("alert-count");

  constructor() {
    this.#figures = TILES.map(([name]) => {
      const tile = document.createElement("div");
      const term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = name;
      figure.textContent = "–";
      tile.append(term, figure);
      document.getElementById("totals").append(tile);
      return figure;
    });
  }

  show(overview) {
    TILES.forEach(([, text], place) => { this.#figures[place].textContent = text(overview); });
    this.#showAlerts(overview.alerts);
  }

  #showAlerts(alerts) {
    const items = alerts.map(({ level, text }) => {
      const item = document.createElement("li"), word = document.createElement("b");
      item.className = level;
      word.textContent = LEVELS[level];
      item.append(word, ` ${text}`);
      return item;
    });
    if (!items.length) {
      const item = document.createElement("li");
      item.className = "none";
      item.textContent = "All is well.";
      items.push(item);
    }
    this.#alerts.replaceChildren(...items);
    // A screen reader hears of how many there are when that changes, and not of every second.
    const count = alerts.length === 1 ? "1 alert" : `${alerts.length} alerts`;
    if (this.#count.textContent !== count) this.#count.textContent = count;
  }
}
