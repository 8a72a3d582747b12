// The last 15 minutes, as curves.

import { ask } from "./desk.js";
import { number } from "./words.js";

const MOST_POINTS = 900;
const SPAN_S = 900;
const HEIGHT = 130;
const CHARTS = [
  { title: "Updates in and releases out, per second", series: { updates_per_s: "updates", releases_per_s: "releases" } },
  { title: "Viewers", series: { viewers: "viewers" } },
  { title: "Deliveries per second", series: { deliveries_per_s: "deliveries" } },
  { title: "Origin requests per second", series: { origin_requests_per_s: "requests" } },
  { title: "Hit ratio at the edge, %", series: { hit_ratio: "hits" }, times: 100 },
  { title: "p99 of purges and publishes, ms", series: { purge_p99_ms: "purge", publish_p99_ms: "publish" } },
  { title: "Screens behind, s", series: { behind_s: "behind" } },
  { title: "Records not applied yet", series: { lag: "records" } },
];

const clock = (at) => new Date(1000 * at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Charts {
  #place = document.getElementById("charts");
  #columns = null; // by name, `at` in s among them
  #charts = [];
  #Plot = null;

  async start() {
    try {
      this.#Plot = (await import("../uplot/uPlot.esm.js")).default;
    } catch {
      this.#place.textContent = "The charts are not installed: scripts/setup fetches them.";
      return;
    }
    const { ok, body } = await ask("GET", "/api/overview/past");
    const { series, points } = ok ? body : { series: ["at"], points: [] };
    const late = this.#columns ?? {};
    this.#columns = Object.fromEntries(series.map((name, place) => [name, points.map((point) => point[place])]));
    for (const name of Object.keys(late)) this.#columns[name] ??= [];
    this.#draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    new ResizeObserver(() => this.#fit()).observe(this.#place);
  }

  add(overview) {
    if (!this.#columns) return;
    const at = overview.at_ms / 1000, times = this.#columns.at;
    if (times.length && at <= times.at(-1)) return;
    times.push(at);
    for (const name of CHARTS.flatMap(({ series }) => Object.keys(series))) {
      const column = (this.#columns[name] ??= []);
      // A series that was not there before: nothing is known of then.
      while (column.length < times.length - 1) column.push(null);
      column.push(overview.totals[name]);
    }
    for (const column of Object.values(this.#columns)) column.splice(0, column.length - MOST_POINTS);
    this.#charts.forEach(({ plot, chart, figure }) => {
      plot.setData(this.#data(chart));
      this.#tell(figure, chart);
    });
  }

  #data({ series, times = 1 }) {
    const scaled = (column = []) => column.map((value) => (value === null ? null : value * times));
    const empty = this.#columns.at.map(() => null);
    return [this.#columns.at, ...Object.keys(series).map((name) => scaled(this.#columns[name] ?? empty))];
  }

  #draw() {
    this.#charts.forEach(({ plot }) => plot.destroy());
    this.#place.replaceChildren();
    this.#charts = CHARTS.map((chart) => {
      const figure = document.createElement("figure"), caption = document.createElement("figcaption");
      const canvas = document.createElement("div");
      caption.textContent = chart.title;
      canvas.setAttribute("role", "img");
      figure.append(caption, canvas);
      this.#place.append(figure);
      const plot = new this.#Plot(this.#options(chart, figure.clientWidth), this.#data(chart), canvas);
      this.#tell(figure, chart);
      return { plot, chart, figure };
    });
  }

  #options({ series }, width) {
    const ink = color("--soft"), line = color("--line");
    const strokes = [color("--accent"), color("--second")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    return {
      width, height: HEIGHT,
      cursor: { sync: { key: "console" }, drag: { x: false, y: false } },
      legend: { show: false },
      scales: {
        x: { range: (_, low, high) => { const end = high ?? Date.now() / 1000; return [end - SPAN_S, end]; } },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, high ?? 1) * 1.1] },
      },
      axes: [{ ...axis, space: 60, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 52, space: 28, values: (_, ticks) => ticks.map((tick) => number(tick, 2)) }],
      series: [{}, ...Object.values(series).map((label, place) => ({
        label, stroke: strokes[place], width: 1.5, points: { show: false }, spanGaps: false,
      }))],
    };
  }

  // The newest figures beside each title: what the curve says to who can't see it, and its legend.
  #tell(figure, { title, series, times = 1 }) {
    const newest = Object.entries(series).map(([name, label]) => {
      const value = this.#columns[name]?.at(-1) ?? null;
      return { label, text: number(value === null ? null : value * times) };
    });
    const parts = newest.map(({ label, text }, place) => {
      const part = document.createElement("span");
      part.className = `key key-${place}`;
      part.textContent = newest.length > 1 ? `${label} ${text}` : text;
      return part;
    });
    figure.firstChild.replaceChildren(`${title} `, ...parts);
    const words = newest.map(({ label, text }) => `${label} ${text}`).join(", ");
    figure.lastChild.setAttribute("aria-label", `${title}, the last 15 minutes; now ${words}`);
  }

  #fit() {
    this.#charts.forEach(({ plot, figure }) => plot.setSize({ width: figure.clientWidth, height: HEIGHT }));
  }
}
