// A table that is brought up to date in place: who reads it, or stands in it with the keyboard, stays there.

// A narrow window shows its rows as cards; the roles keep it a table all the same.
export class Table {
  #columns;
  #key;
  #body;
  #rows = new Map();
  #none;

  // columns: {title, text(row), press(row)?, mark(row)?}; the first names the row. text is what stands there, press
  // makes a button of it, mark is a class. key(row): what tells rows apart. none: what an empty table says.
  constructor(table, columns, { key, none }) {
    this.#columns = columns;
    this.#key = key;
    this.#none = none;
    table.setAttribute("role", "table");
    const head = table.createTHead(), row = head.insertRow();
    head.setAttribute("role", "rowgroup");
    row.setAttribute("role", "row");
    for (const { title } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.setAttribute("role", "columnheader");
      cell.textContent = title;
      row.append(cell);
    }
    this.#body = table.createTBody();
    this.#body.setAttribute("role", "rowgroup");
  }

  show(rows) {
    const before = this.#rows;
    this.#rows = new Map();
    const wanted = rows.map((row) => {
      const element = before.get(this.#key(row)) ?? this.#make();
      this.#rows.set(this.#key(row), element);
      this.#fill(element, row);
      return element;
    });
    if (!wanted.length) wanted.push(this.#empty());
    const there = [...this.#body.children];
    if (wanted.length !== there.length || wanted.some((element, place) => element !== there[place])) {
      this.#body.replaceChildren(...wanted);
    }
  }

  #make() {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    this.#columns.forEach(({ title, press }, place) => {
      const cell = document.createElement(place ? "td" : "th");
      cell.setAttribute("role", place ? "cell" : "rowheader");
      if (!place) cell.scope = "row";
      cell.dataset.label = title;
      cell.append(document.createElement(press ? "button" : "span"));
      row.append(cell);
    });
    return row;
  }

  #fill(element, row) {
    this.#columns.forEach(({ text, press, mark }, place) => {
      const cell = element.children[place], inner = cell.firstChild;
      const now = text(row);
      if (inner.textContent !== now) inner.textContent = now;
      cell.className = mark?.(row) ?? "";
      if (press) {
        inner.type = "button";
        inner.onclick = () => press(row);
      }
    });
  }

  #empty() {
    const row = document.createElement("tr"), cell = row.insertCell();
    row.setAttribute("role", "row");
    cell.setAttribute("role", "cell");
    cell.colSpan = this.#columns.length;
    cell.className = "none";
    cell.textContent = this.#none;
    return row;
  }
}
