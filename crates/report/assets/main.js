// The curves of a run, colours, and the start of it all.
"use strict";

const label = { auto: "as the system", light: "light", dark: "dark" };

function themes() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const next = { auto: "light", light: "dark", dark: "auto" };
  // A file opened from a disk may have no storage.
  const stored = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null;
    }
  };
  function set(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    button.textContent = `Colours: ${label[theme]}`;
    button.dataset.theme = theme;
    redraw();
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = next[button.dataset.theme];
    stored((storage) => storage.setItem("espalier-theme", theme));
    set(theme);
  });
  const found = stored((storage) => storage.getItem("espalier-theme"));
  set(Object.hasOwn(next, found ?? "") ? found : "auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/** The least and the greatest of the numbers among some values. */
function ends(values) {
  const found = values.filter((value) => value !== null && value !== undefined);
  return found.length === 0 ? null : [found[0], found[found.length - 1], Math.min(...found), Math.max(...found)];
}

function curves(run) {
  const host = document.getElementById("curves");
  const epochs = [...run.epochs].sort((a, b) => a.epoch - b.epoch);
  if (!host || epochs.length === 0) return;
  const x = { label: "epoch", values: epochs.map((epoch) => epoch.epoch) };
  const marks = (run.pruning?.rounds ?? []).map((round) => round.epoch).filter((epoch) => epoch > 0);
  const one = (name, key) => ({ label: name, values: epochs.map((epoch) => epoch[key]) });
  const each = (key) => {
    const names = [...new Set(epochs.flatMap((epoch) => Object.keys(epoch[key])))];
    // Names such as `constructor` are those of others too.
    const value = (epoch, name) => (Object.hasOwn(epoch[key], name) ? epoch[key][name] : null);
    return names.map((name) => ({ label: visible(name), values: epochs.map((epoch) => value(epoch, name)) }));
  };
  const wide = (series) => {
    const all = series.flatMap((one) => one.values).filter((value) => value > 0);
    return all.length > 0 && Math.max(...all) > 20 * Math.min(...all);
  };
  const add = (title, series, y = {}) => {
    const there = series.filter((one) => ends(one.values) !== null);
    if (there.length === 0) return;
    const text = y.text ?? number;
    const said = there.slice(0, 4).map((one) => {
      const [first, last] = ends(one.values);
      return `${one.label} ${text(first)} → ${text(last)}`;
    });
    if (there.length > 4) said.push(`and ${there.length - 4} more`);
    figure(host, title, said.join(", "), (host) => plot(host, { x, series: there, y, marks }));
  };
  const share = { text: (share) => percent(share), ticks: (share) => `${Number((100 * share).toPrecision(4))}%` };
  const loss = [one("training", "loss"), one("test", "test_loss")];
  add("Loss", loss, { log: wide(loss) });
  add("Accuracy", [one("training", "train_accuracy"), one("test", "test_accuracy")], share);
  const rates = each("rates");
  add("Learning rate", rates, { log: wide(rates) });
  add("Sparsity", [one("zeros among the weights", "sparsity")], { ...share, range: [0, 1] });
  const norms = [one("all", "gradient_norm"), ...each("gradient_norms")];
  add("Gradient norm", norms, { log: wide(norms) });
  add("Seconds an epoch", [one("seconds", "seconds")]);
  if (marks.length > 0) {
    host.after(element("p", { class: "note" }, "Dashed lines: rounds of pruning."));
  }
  numbers(run);
}

/** The numbers behind the curves, for those who cannot or would not read them off. */
function numbers(run) {
  const details = document.getElementById("numbers");
  details.hidden = false;
  details.addEventListener("toggle", () => {
    const host = details.querySelector(".scroll");
    if (!details.open || host.firstChild) return;
    const names = ["epoch", "step", "loss", "test_loss", "train_accuracy", "test_accuracy", "sparsity", "gradient_norm", "seconds"];
    const used = names.filter((name) => run.epochs.some((epoch) => epoch[name] !== null));
    const heads = used.map((name) => element("th", { scope: "col" }, name.replace("_", " ")));
    const text = (epoch, name) => (name === "epoch" || name === "step" ? grouped : number)(epoch[name]);
    const one = (epoch, name) =>
      name === "epoch" ? element("th", { scope: "row" }, text(epoch, name)) : element("td", {}, text(epoch, name));
    const line = (epoch) => element("tr", {}, ...used.map((name) => one(epoch, name)));
    host.append(
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...run.epochs.map(line))),
    );
  });
}

const data = JSON.parse(document.getElementById("data").textContent);
themes();
if (document.getElementById("table")) {
  detail.start();
  table.start(data.tensors);
}
if (data.run) curves(data.run);
document.documentElement.dataset.ready = "";
