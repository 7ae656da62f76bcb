// One tensor: its facts, its values' histogram, its singular values, and where its zeros are.
"use strict";

function facts(row) {
  const found = row.statistics;
  const list = [
    ["Type", row.dtype],
    ["Shape", shape(row)],
    ["Elements", grouped(row.numel)],
    ["Size", bytes(row.bytes)],
  ];
  if (row.tied_to !== null) list.push(["Tied to", visible(row.tied_to)]);
  if (found) {
    list.push(
      ["Zeros", `${grouped(found.zeros)} (${percent(found.sparsity)})`],
      ["Mean", number(found.mean)],
      ["Std", number(found.std)],
      ["Least", number(found.min)],
      ["Greatest", number(found.max)],
      ["L2 norm", number(found.l2)],
      ["Not finite", grouped(found.nonfinite), found.nonfinite > 0],
    );
  }
  const tile = ([name, value, alarm]) =>
    element("div", alarm ? { class: "alarm" } : {}, element("dt", {}, name), element("dd", {}, value));
  return element("dl", { class: "tiles" }, ...list.map(tile));
}

function histogram(parent, row, own) {
  const { min, max, counts } = own.histogram;
  const zeros = row.statistics.zeros;
  const less = zeros > 0 ? `, ${grouped(zeros)} exact ${zeros === 1 ? "zero" : "zeros"} left out` : "";
  const ranges = counts.length === 1 ? "All are" : `${counts.length} ranges from ${number(min)} to`;
  const about = `${ranges} ${number(max)}${less}`;
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) {
    figure(parent, "Values", "All elements are zero or not finite.", () => {});
    return;
  }
  const bars = counts.length;
  // In ranges, for values may be too large, too small or too close for an axis of their own.
  const usual = apart(min, max) && unit([min, max]) === 1;
  const at = (share) => min * (1 - share) + max * share;
  const middle = counts.map((_, bar) => (bar + 0.5) / bars);
  const x = usual
    ? { values: middle.map(at), range: [min, max] }
    : { values: middle, range: [0, 1], text: (share) => number(at(share)) };
  figure(parent, "Values", about, (host) =>
    plot(host, {
      x: { label: "value", ...x },
      series: [{ label: "elements", values: counts, bars: true }],
      y: { text: (count) => (Number.isInteger(count) ? compact(count) : ""), range: [0, Math.max(...counts) * 1.05] },
    }),
  );
}

const compact = (count) => count.toLocaleString("en", { notation: "compact", maximumFractionDigits: 2 });

function spectrum(parent, row, found) {
  const title = "Singular values";
  if (found.left_out) {
    figure(parent, title, `Left out: ${found.left_out}.`, () => {});
    return;
  }
  const { rows, columns, count, rank, values } = found;
  const drawn = values.length;
  const place = (at) => (drawn < 2 ? 1 : Math.round((at * (count - 1)) / (drawn - 1)) + 1);
  const [largest, smallest] = [values[0], values[drawn - 1]];
  const said = [`${grouped(count)} of a ${rows} × ${columns} matrix`];
  if (drawn < count) said.push(`${drawn} of them drawn`);
  said.push(`from ${number(largest)} to ${number(smallest)}`);
  if (rank < count) said.push(`rank ${grouped(rank)} to rounding`);
  else if (smallest > 0) said.push(`condition ${number(largest / smallest)}`);
  const l2 = row.statistics.l2;
  if (largest > 0 && l2 !== null) said.push(`stable rank ${number((l2 / largest) ** 2)}`);
  const log = largest > 0 && smallest < largest / 100;
  const small = values.filter((value) => lost(value, largest)).length;
  if (log && small > 0) said.push(`${small} that are all but zero have no place on the logarithmic axis`);
  figure(parent, title, said.join(", "), (host) =>
    plot(host, {
      x: { label: "place", values: values.map((_, at) => place(at)), text: grouped },
      series: [{ label: "singular value", values }],
      y: { log },
    }),
  );
}

function zeros(parent, row, map) {
  const title = "Where the zeros are";
  const [down, ...rest] = row.shape;
  const across = rest.reduce((product, size) => product * size, 1);
  const whole = map.rows === down && map.columns === across;
  const cells = whole ? "each cell an element" : `in ${map.rows} × ${map.columns} blocks`;
  const about = `Rows are the first dimension (${grouped(down)}), columns all others (${grouped(across)}), ${cells}`;
  figure(parent, title, about, (host) => {
    const share = (at) => parseInt(map.shares[at], 36) / 35;
    const canvas = element("canvas", {
      class: "map",
      role: "img",
      width: map.columns,
      height: map.rows,
      "aria-label": `${percent(row.statistics.sparsity)} of the elements are zero`,
    });
    const reading = element("output", {}, " ");
    const legend = element("div", { class: "scale" }, "no zeros", element("i"), "all zeros");
    host.append(canvas, legend, element("p", { class: "note" }, reading));
    const width = Math.max(host.clientWidth - 2, 120);
    const step = (cells, room) => Math.max(1, Math.min(24, Math.floor(room / cells)));
    canvas.style.width = `${map.columns * step(map.columns, width)}px`;
    canvas.style.height = `${map.rows * Math.max(2, Math.min(step(map.rows, 384), 24))}px`;

    function draw() {
      const pen = canvas.getContext("2d");
      const image = pen.createImageData(map.columns, map.rows);
      const parse = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
      const [low, high] = [parse(color("--surface")), parse(color("--accent"))];
      for (let at = 0; at < map.rows * map.columns; at += 1) {
        const part = share(at);
        for (let c = 0; c < 3; c += 1) image.data[4 * at + c] = low[c] + (high[c] - low[c]) * part;
        image.data[4 * at + 3] = 255;
      }
      pen.putImageData(image, 0, 0);
    }

    charts.add({ host, draw });
    draw();
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const inside = (value, cells) => Math.max(0, Math.min(cells - 1, Math.floor(value * cells)));
      const r = inside((event.clientY - box.top) / box.height, map.rows);
      const c = inside((event.clientX - box.left) / box.width, map.columns);
      const range = (cell, all, cells) => {
        const [first, last] = [Math.ceil((cell * all) / cells), Math.ceil(((cell + 1) * all) / cells) - 1];
        return first === last ? `${first}` : `${first} to ${last}`;
      };
      const found = Math.round(100 * share(r * map.columns + c));
      reading.value = `row ${range(r, down, map.rows)}, column ${range(c, across, map.columns)}: about ${found}% zeros`;
    });
  });
}

const detail = {
  dialog: document.getElementById("detail"),
  order: [],
  at: 0,

  /** Opens the tensor at a place of an order, in which the neighbours are next. */
  open(order, at) {
    this.order = order;
    // First, for a chart is as wide as its place.
    this.dialog.showModal();
    this.show(at);
  },

  show(at) {
    this.at = at;
    const row = this.order[at];
    document.getElementById("detail-name").textContent = visible(row.name);
    document.getElementById("earlier").disabled = at === 0;
    document.getElementById("later").disabled = at === this.order.length - 1;
    const body = document.getElementById("detail-body");
    body.replaceChildren(facts(row));
    // What a tied tensor shares is told once.
    const own = row.tied_to === null ? row : (table.named.get(row.tied_to) ?? row);
    if (row.statistics === null) {
      body.append(element("p", { class: "note" }, `Values of ${row.dtype} are not decoded.`));
    }
    if (own.histogram) histogram(body, row, own);
    if (own.spectrum) spectrum(body, row, own.spectrum);
    if (own.zeros) zeros(body, row, own.zeros);
    this.dialog.scrollTop = 0;
  },

  move(by) {
    const to = this.at + by;
    if (to >= 0 && to < this.order.length) this.show(to);
  },

  start() {
    const click = (id, act) => document.getElementById(id).addEventListener("click", act);
    click("earlier", () => this.move(-1));
    click("later", () => this.move(1));
    click("close", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") this.move(-1);
      if (event.key === "ArrowRight") this.move(1);
    });
    this.dialog.addEventListener("close", () => table.focus(this.order[this.at]));
  },
};
