// The table of tensors: sorted, filtered, and drawn as far as it is looked at.
"use strict";

/** Rows that are drawn at once. */
const some = 100;

const shape = (row) => (row.shape.length === 0 ? "scalar" : row.shape.join(" × "));
const stat = (name) => (row) => row.statistics?.[name] ?? null;

/** What is in the columns; `value` is what is compared. */
const columns = [
  { id: "name", value: (row) => row.name, text: true },
  { id: "dtype", value: (row) => row.dtype, text: true },
  { id: "shape", value: (row) => row.shape, show: shape, text: true },
  { id: "numel", value: (row) => row.numel, show: (row) => grouped(row.numel) },
  { id: "bytes", value: (row) => row.bytes, show: (row) => bytes(row.bytes) },
  { id: "sparsity", value: stat("sparsity") },
  { id: "mean", value: stat("mean") },
  { id: "std", value: stat("std") },
  { id: "min", value: stat("min") },
  { id: "max", value: stat("max") },
  { id: "l2", value: stat("l2") },
  { id: "nonfinite", value: stat("nonfinite"), show: (row) => grouped(stat("nonfinite")(row)) },
  { id: "tied_to", value: (row) => row.tied_to, text: true },
];

const kinds = {
  all: () => true,
  zeros: (row) => row.statistics?.zeros > 0,
  nonfinite: (row) => row.statistics?.nonfinite > 0,
  tied: (row) => row.tied_to !== null,
  unknown: (row) => row.statistics === null,
};

/** Names with numbers in them as a person counts: layer 2 before layer 10. */
const words = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  if (typeof a === "string") return words.compare(a, b);
  if (!Array.isArray(a)) return a - b;
  const at = a.findIndex((size, place) => size !== b[place]);
  return at < 0 ? a.length - b.length : a[at] - (b[at] ?? -1);
}

function cell(column, row) {
  const made = element("td", column.text ? { class: "left" } : {});
  if (column.id === "sparsity") {
    const share = column.value(row);
    made.append(percent(share));
    if (share !== null) made.append(bar(share));
  } else if (column.id === "tied_to") {
    made.className = "left tied name";
    made.append(row.tied_to === null ? "" : visible(row.tied_to));
    if (row.tied_to !== null) made.title = visible(row.tied_to);
  } else {
    if (column.id === "nonfinite" && column.value(row) > 0) made.className = "alarm";
    made.append(column.show ? column.show(row) : column.text ? column.value(row) : number(column.value(row)));
  }
  return made;
}

function bar(share) {
  const drawing = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const svg = drawing("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(
    drawing("rect", { width: 100, height: 10 }),
    drawing("rect", { width: Math.max(100 * share, share > 0 ? 1 : 0), height: 10 }),
  );
  return svg;
}

const table = {
  rows: [],
  named: new Map(),
  shown: [],
  sorted: null,
  drawn: 0,

  start(rows) {
    this.rows = rows;
    rows.forEach((row, at) => {
      row.at = at;
      this.named.set(row.name, row);
      row.found = `${row.name} ${row.dtype} ${row.shape.join("x")} ${row.shape.join(" × ")}`.toLowerCase();
    });
    this.body = document.getElementById("rows");
    this.more = document.getElementById("more");
    this.search = document.getElementById("search");
    this.kind = document.getElementById("kind");
    for (const button of document.querySelectorAll("#table thead button")) {
      button.addEventListener("click", () => this.sort(button.dataset.column));
    }
    let asked = 0;
    this.search.addEventListener("input", () => {
      cancelAnimationFrame(asked);
      asked = requestAnimationFrame(() => this.filter());
    });
    this.kind.addEventListener("change", () => this.filter());
    this.more.addEventListener("click", () => {
      const first = this.drawn;
      this.draw();
      this.body.rows[first]?.querySelector("button").focus();
    });
    const scroll = document.getElementById("table");
    const near = { root: scroll, rootMargin: "400px" };
    new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) this.draw();
    }, near).observe(this.more);
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      // Who marks text to copy it does not want to see the tensor.
      if (row && getSelection().isCollapsed) detail.open(this.shown, row.sectionRowIndex);
    });
    this.body.addEventListener("keydown", (event) => this.key(event));
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, select, textarea, dialog");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        this.search.focus();
        this.search.select();
      }
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.search.value !== "") {
        event.preventDefault();
        this.search.value = "";
        this.filter();
      }
      if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        this.filter();
        this.body.querySelector("button")?.focus();
      }
    });
    this.filter();
  },

  /** Numbers from the greatest down first, texts from the least up, then the other way, then as in the file. */
  sort(id) {
    const column = columns.find((column) => column.id === id);
    const first = column.text ? 1 : -1;
    const way = this.sorted?.column !== column ? first : this.sorted.way === first ? -first : null;
    this.sorted = way === null ? null : { column, way };
    for (const head of document.querySelectorAll("#table thead th")) {
      const here = way !== null && head.querySelector("button").dataset.column === id;
      if (here) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    this.filter();
  },

  filter() {
    const wanted = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = kinds[this.kind.value];
    this.shown = this.rows.filter((row) => kind(row) && wanted.every((word) => row.found.includes(word)));
    if (this.sorted) {
      const { column, way } = this.sorted;
      this.shown.sort((a, b) => {
        const [x, y] = [column.value(a), column.value(b)];
        // What has no value comes last either way.
        if (x === null || y === null) return (x === null) - (y === null) || a.at - b.at;
        return way * compare(x, y) || a.at - b.at;
      });
    }
    const all = this.rows.length;
    const count = this.shown.length;
    document.getElementById("count").value =
      count === all ? `${grouped(all)} ${all === 1 ? "tensor" : "tensors"}` : `${grouped(count)} of ${grouped(all)} tensors`;
    document.getElementById("nothing").hidden = count > 0;
    document.querySelector("#table table").setAttribute("aria-rowcount", count + 1);
    document.getElementById("table").scrollTop = 0;
    this.drawn = 0;
    this.body.replaceChildren();
    this.draw();
  },

  draw() {
    const part = document.createDocumentFragment();
    const end = Math.min(this.drawn + some, this.shown.length);
    for (let at = this.drawn; at < end; at += 1) {
      const row = this.shown[at];
      const name = visible(row.name);
      const open = element("button", { type: "button", class: "name", title: name, "aria-haspopup": "dialog" }, name || "(no name)");
      const head = element("th", { scope: "row" }, open);
      part.append(element("tr", { "aria-rowindex": at + 2 }, head, ...columns.slice(1).map((column) => cell(column, row))));
    }
    this.body.append(part);
    this.drawn = end;
    const left = this.shown.length - end;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(some, left)} more of ${grouped(left)}`;
  },

  focus(row) {
    const at = this.shown.indexOf(row);
    while (at >= this.drawn && this.drawn < this.shown.length) this.draw();
    this.body.rows[at]?.querySelector("button").focus();
  },

  key(event) {
    const row = event.target.closest("tr");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = row.sectionRowIndex;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.drawn - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= this.drawn) this.draw();
    this.body.rows[to]?.querySelector("button").focus();
  },
};
