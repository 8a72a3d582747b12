// A line of the last releases, as SVG paths: no library needed for one curve.

const WIDTH = 600, HEIGHT = 160, PAD = 8, MOST = 60;

export class Chart {
  #svg;
  #caption;
  #points = [];

  constructor(svg, caption) {
    this.#svg = svg;
    this.#caption = caption;
  }

  // Add releases, in any order; those that are there already, and what can't be drawn, are ignored.
  add(releases) {
    const known = new Set(this.#points.map((point) => point.version));
    const fresh = releases.filter(({ version, value, released_at }) =>
      typeof value === "number" && released_at && !known.has(version));
    if (!fresh.length) return;
    for (const { version, value, text, released_at } of fresh) {
      this.#points.push({ version, value, text, at: Date.parse(released_at) });
    }
    this.#points.sort((one, other) => one.version - other.version);
    this.#points.splice(0, this.#points.length - MOST);
    this.#draw();
  }

  #draw() {
    const points = this.#points;
    const first = points[0], last = points.at(-1);
    const values = points.map((point) => point.value);
    const low = Math.min(...values), high = Math.max(...values);
    const x = (at) => (WIDTH * (at - first.at)) / Math.max(1, last.at - first.at);
    const y = (value) => HEIGHT - PAD - ((HEIGHT - 2 * PAD) * (value - low)) / (high - low || 1);
    // Steps: a value holds until its next release.
    let line = `M0 ${y(first.value)}`;
    for (const point of points.slice(1)) line += `H${x(point.at)}V${y(point.value)}`;
    const area = `${line}H${WIDTH}V${HEIGHT}H0Z`;
    this.#svg.replaceChildren(path("area", area), path("line", `${line}H${WIDTH}`));
    const summary = `${points.length} releases, from ${first.text} to ${last.text}`;
    this.#svg.setAttribute("aria-label", `Chart: ${summary}`);
    this.#caption.textContent = summary;
  }
}

function path(name, d) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
  element.setAttribute("class", name);
  element.setAttribute("d", d);
  return element;
}
