// Charts, drawn by uPlot, and numbers as text.
"use strict";

const none = "–";

/** A name from a file: what would move or turn the text around it is shown as an escape. */
function visible(name) {
  const directs = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
  return name.replace(directs, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const grouped = (number) => (number === null || number === undefined ? none : number.toLocaleString("en"));

/** With four significant digits. */
function number(value) {
  if (value === null || value === undefined) return none;
  if (value === 0) return "0";
  // Rounding comes first: 9.9996 is 10.00, not 10.000.
  const short = value.toExponential(3);
  const exponent = Number(short.slice(short.indexOf("e") + 1));
  return exponent < -4 || exponent > 5 ? short.replace("e+", "e") : value.toFixed(Math.max(0, 3 - exponent));
}

/** As [number], without zeros at its end: for axes and for what is counted. */
function tick(value) {
  const text = number(value);
  return /\.\d*0(e|$)/.test(text) ? text.replace(/\.?0+(?=e|$)/, "") : text;
}

/** Only all is 100%, and only nothing is 0%. */
function percent(share, digits = 2) {
  if (share === null || share === undefined) return none;
  const least = 10 ** -digits;
  const shown = share > 0 && share < 1 ? Math.min(Math.max(100 * share, least), 100 - least) : 100 * share;
  return `${shown.toFixed(digits)}%`;
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`;
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Charts that are on the page, to be drawn anew when colours change. */
const charts = new Set();

function redraw() {
  for (const chart of charts) {
    if (chart.host.isConnected) chart.draw();
    else charts.delete(chart);
  }
}

const greatest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);

/** A power of ten that brings numbers into a range in which ticks can be placed, and 1 for all usual ones. */
function unit(values) {
  const size = greatest(values);
  return size > 1e12 || (size > 0 && size < 1e-12) ? 10 ** Math.floor(Math.log10(size)) : 1;
}

/** Whether ticks between two numbers can be told apart. */
const apart = (low, high) => high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high));

/** What is too small a part of the greatest for a logarithmic axis: less than what rounding leaves. */
const lost = (value, size) => value <= 1e-17 * size;

/**
 * Draws lines or bars into `host`.
 *
 * `x`: {label, values, range?, text?}; `series`: [{label, values, bars?}]; `y`: {text?, ticks?, range?, log?}, where `ticks`
 * is the text at the axis; `marks`: places on x with a dashed line.
 */
function plot(host, { x, series, y = {}, marks = [] }) {
  let drawn = null;
  const all = series.flatMap((one) => one.values);
  const factor = unit(all);
  const size = greatest(all);
  const text = y.text ?? number;
  const label = (value) => (value === null || value === undefined ? none : text(value * factor));
  // Places that no axis can show are counted instead.
  const [first, last] = [x.values[0], x.values[x.values.length - 1]];
  const usual = x.values.length < 2 || (apart(first, last) && unit(x.values) === 1);
  const places = usual ? x.values : x.values.map((_, at) => at);
  const place = usual ? (x.text ?? tick) : (at) => (Number.isInteger(at) && at in x.values ? tick(x.values[at]) : "");
  const clean = (value) => (value === null || value === undefined || (y.log && lost(value, size)) ? null : value / factor);
  const data = [places, ...series.map((one) => one.values.map(clean))];

  /** The range of y: with room around numbers that are all but the same. */
  function range(_, low, high) {
    if (y.range) return y.range;
    if (low === null || high === null) return [0, 1];
    if (!apart(low, high)) return low === 0 ? [-1, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
    return uPlot.rangeNum(low, high, 0.1, true);
  }

  function marked(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = color("--mark");
    ctx.setLineDash([4, 4]);
    ctx.lineWidth = devicePixelRatio;
    for (const mark of marks) {
      const at = Math.round(u.valToPos(mark, "x", true));
      if (at < bbox.left || at > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function line(one, at) {
    const stroke = color(`--series-${(at % 6) + 1}`);
    const shown = { label: one.label, stroke, width: 2, value: (_, value) => label(value) };
    if (one.bars) {
      return { ...shown, width: 0, fill: stroke, points: { show: false }, paths: uPlot.paths.bars({ size: [1, 200], gap: 1 }) };
    }
    // Told apart without colour too.
    return { ...shown, dash: at % 2 === 1 ? [6, 4] : undefined, spanGaps: false, points: one.points };
  }

  function axis(values, size) {
    return {
      stroke: color("--soft"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
      size,
      gap: 6,
      values: (_, splits) => splits.map(values),
    };
  }

  function draw() {
    drawn?.destroy();
    const width = Math.max(host.clientWidth, 120);
    const options = {
      width,
      height: 220,
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
      legend: { live: true },
      scales: {
        x: { time: false, ...(x.range ? { range: () => x.range } : {}) },
        y: y.log ? { distr: 3 } : { range },
      },
      axes: [axis(place, 34), axis((value) => (value === null ? "" : (y.ticks ?? y.text ?? tick)(value * factor)), 66)],
      series: [{ label: x.label, value: (_, value) => (value === null ? none : place(value)) }, ...series.map(line)],
      hooks: { draw: [marked] },
    };
    drawn = new uPlot(options, data, host);
    for (const toggle of host.querySelectorAll(".u-series:not(:first-child) th")) {
      toggle.tabIndex = 0;
      toggle.setAttribute("role", "button");
      toggle.title = "Show or hide";
      toggle.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          toggle.click();
        }
      });
    }
    for (const canvas of host.querySelectorAll("canvas")) canvas.setAttribute("aria-hidden", "true");
  }

  charts.add({ host, draw });
  draw();
  new ResizeObserver(() => {
    const width = host.clientWidth;
    if (drawn && width > 0 && width !== drawn.width) drawn.setSize({ width, height: 220 });
  }).observe(host);
}

/** A figure with a heading and a line about it, on the page in `parent`; `fill` gets where the chart goes. */
function figure(parent, title, about, fill, level = "h3") {
  const host = element("div", { class: "plot" });
  const heading = element(level, {}, title);
  const caption = element("figcaption", {}, heading, ...(about ? [element("p", {}, about)] : []));
  parent.append(element("figure", {}, caption, host));
  fill(host);
}
