"use strict";
// All text is set as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const FIRST = 12, MORE = 48;
document.documentElement.className = "js";

function make(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}
function options(select, values, all) {
  const before = select.value;
  select.replaceChildren();
  if (all) select.add(new Option("all", ""));
  for (const [value, text] of values) select.add(new Option(text, value));
  if (values.some(([value]) => String(value) === before)) select.value = before;
}
const numbered = (names) => names.map((name, number) => [number, name]);

// The choosers show one product's curves, and one panel with one classifier's numbers.
function choose(elements, chosen) {
  for (const each of elements) each.classList.toggle("chosen", each === chosen);
}
function fill(panel, run) {
  const set = (kind, text) => { const found = panel.querySelector(kind); if (found) found.textContent = text; };
  set(".of", run.name);
  set(".accuracy-of", run.accuracy);
  set(".recall", run.recall);
  set(".ece", run.ece);
  set(".brier", run.brier);
  set(".log-loss", run.log_loss);
  panel.querySelectorAll(".score").forEach((cell, number) => { cell.textContent = run.scores[number]; });
  panel.querySelectorAll(".confusion tbody tr").forEach((row, number) => {
    const counts = run.confusion[number], total = Math.max(counts.reduce((sum, each) => sum + each, 0), 1);
    row.querySelectorAll("td").forEach((cell, column) => {
      const count = counts[column];
      cell.className = "s" + Math.floor((20 * count + total) / (2 * total)) + (number === column ? " own" : "");
      cell.querySelector("b").textContent = count;
      cell.querySelector("span").textContent = Math.floor((200 * count + total) / (2 * total)) + " %";
    });
  });
  panel.querySelector(".reliability tbody")?.replaceChildren(...run.bins.map((cells) => {
    const row = make("tr");
    row.append(...cells.map((cell) => make("td", "number", cell)));
    return row;
  }));
}
function startPanels() {
  const panels = [...document.querySelectorAll(".panel")];
  const products = [...new Set(data.panels.map((panel) => panel.product))];
  const product = by("panel-product"), count = by("panel-shots"), classifier = by("panel-classifier");
  const current = () => data.panels.findIndex((panel) => panel.product === products[product.value] && panel.shots === Number(count.value));
  function show() {
    const number = current(), panel = panels[number];
    fill(panel, data.panels[number].runs[classifier.value]);
    panel.querySelectorAll(".choice").forEach((mark) => mark.classList.toggle("chosen", mark.dataset.choice === classifier.value));
    choose(panels, panel);
  }
  function ofPanel() {
    const panel = data.panels[current()], before = classifier.selectedOptions[0]?.text;
    options(classifier, numbered(panel.runs.map((run) => run.name)));
    const same = panel.runs.findIndex((run) => run.name === before);
    classifier.value = same < 0 ? panel.chosen : same;
    show();
  }
  function ofProduct() {
    const own = data.panels.filter((panel) => panel.product === products[product.value]);
    options(count, own.map((each) => [each.shots, each.label]));
    ofPanel();
  }
  if (!panels.length) return;
  options(product, numbered(products));
  const first = data.panels.find((panel) => panel.shots === data.shots) || data.panels[0];
  product.value = products.indexOf(first.product);
  options(count, [[first.shots, first.label]]);
  ofProduct();
  product.addEventListener("change", ofProduct);
  count.addEventListener("change", ofPanel);
  classifier.addEventListener("change", show);
}
function startParts() {
  const parts = [...document.querySelectorAll(".part")], select = by("part");
  if (select) select.addEventListener("change", () => choose(parts, parts[select.value]));
}

// The gallery: one heading per true category with cards below it, wrong answers first; more on demand.
const near = new IntersectionObserver((seen) => {
  for (const each of seen) if (each.isIntersecting) load(each.target);
}, { rootMargin: "800px" });
function load(image) {
  near.unobserve(image);
  if (!image.src) image.src = "data:image/webp;base64," + data.pictures[image.dataset.instance];
}
function picture(instance, alt) {
  if (!data.pictures[instance]) return make("span", "absent", data.instances[instance]);
  const image = make("img");
  image.alt = alt;
  image.title = data.instances[instance];
  image.width = image.height = 96;
  image.decoding = "async";
  image.dataset.instance = instance;
  near.observe(image);
  return image;
}
function card(set, row, classifier) {
  const number = set.query[row], name = (n) => set.categories[n], given = set.predicted[classifier][row];
  const right = set.true[number] === given;
  const made = make("li", right ? "card right" : "card wrong");
  made.append(picture(set.instances[number], "query instance of " + name(set.true[number])));
  const text = make("div", "said");
  text.append(make("strong", "", right ? "✓ right" : "✗ wrong"), make("span", "name", "true: " + name(set.true[number])));
  text.append(make("span", "name", "predicted: " + name(given)));
  text.append(make("span", "share", (set.permille[classifier][row] / 10).toFixed(1) + " %, seed " + set.seed[row]));
  const neighbors = make("div", "near");
  neighbors.append(make("span", "", "nearest support instances"));
  for (const each of set.nearest[row]) {
    const one = make("figure");
    one.append(picture(set.instances[each], "support instance of " + name(set.true[each])), make("figcaption", "", name(set.true[each])));
    neighbors.append(one);
  }
  made.append(text, neighbors);
  for (const each of made.querySelectorAll(".name, figcaption")) each.title = each.textContent;
  return made;
}
function group(set, truth, rows, wrong, classifier) {
  const made = make("section", "group"), heading = make("h3", "", set.categories[truth]), cards = make("ul", "cards");
  const button = make("button");
  let shown = 0;
  heading.append(make("small", "", wrong + " wrong of " + rows.length));
  heading.id = "group-" + truth;
  made.tabIndex = 0;
  made.setAttribute("aria-labeledby", heading.id);
  button.type = "button";
  function more(count) {
    const next = rows.slice(shown, shown + count).map((row) => card(set, row, classifier));
    cards.append(...next);
    shown += next.length;
    const rest = rows.length - shown;
    button.hidden = !rest;
    button.textContent = rest > MORE ? "Show " + MORE + " more of " + rest : "Show " + rest + " more";
    return next[0];
  }
  button.addEventListener("click", () => {
    const first = more(MORE);
    first.tabIndex = -1;
    first.focus({ preventScroll: true });
  });
  more(FIRST);
  made.append(heading, cards, button);
  return made;
}
function filter() {
  const set = data.sets[by("set").value], classifier = by("classifier").value;
  const truth = by("true").value, given = by("predicted").value, kind = by("answer-kind").value, seed = by("seed").value;
  const predicted = set.predicted[classifier], sure = set.permille[classifier];
  const right = (row) => set.true[set.query[row]] === predicted[row];
  const groups = set.categories.map(() => []);
  let found = 0, wrong = 0;
  set.query.forEach((number, row) => {
    if ((truth === "" || set.true[number] === Number(truth)) && (given === "" || predicted[row] === Number(given)) &&
        (kind === "" || right(row) === (kind === "right")) && (seed === "" || set.seed[row] === Number(seed))) {
      groups[set.true[number]].push(row);
      found += 1;
      wrong += !right(row);
    }
  });
  by("found").textContent = found + (found === 1 ? " answer, " : " answers, ") + wrong + " wrong (" + set.product + ", " + set.label + ", " + set.classifiers[classifier] + ")";
  near.disconnect();
  const wrongOf = (rows) => rows.reduce((sum, row) => sum + !right(row), 0);
  const filled = numbered(groups).filter(([, rows]) => rows.length).sort((a, b) => wrongOf(b[1]) - wrongOf(a[1]) || a[0] - b[0]);
  by("groups").replaceChildren(...filled.map(([number, rows]) => {
    rows.sort((a, b) => right(a) - right(b) || sure[b] - sure[a]);
    return group(set, number, rows, rows.filter((row) => !right(row)).length, classifier);
  }));
}
function change() {
  const set = data.sets[by("set").value], before = by("classifier").selectedOptions[0]?.text ?? data.reference;
  options(by("classifier"), numbered(set.classifiers));
  by("classifier").value = Math.max(0, set.classifiers.indexOf(before));
  for (const id of ["true", "predicted"]) { by(id).value = ""; options(by(id), numbered(set.categories), true); }
  options(by("seed"), [...new Set(set.seed)].map((seed) => [seed, seed]), true);
  filter();
}
function startGallery() {
  options(by("set"), data.sets.map((set, number) => [number, set.product + ", " + set.label]));
  by("set").value = Math.max(0, data.sets.findIndex((set) => set.shots === data.shots));
  by("set").addEventListener("change", change);
  for (const id of ["classifier", "true", "predicted", "answer-kind", "seed"]) by(id).addEventListener("change", filter);
  change();
}
startParts();
startPanels();
if (by("filters") && data.sets.length) startGallery();
for (const form of document.querySelectorAll(".chooser")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
}
// Images load when scrolled into view, which never happens on paper.
addEventListener("beforeprint", () => document.querySelectorAll("img[data-instance]").forEach(load));
