"use strict";
// Every text is set as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const PAGE = 60;
let found = [], shown = 0;

function make(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}
function options(select, values, all) {
  select.replaceChildren();
  if (all) select.add(new Option("all", ""));
  for (const [value, text] of values) select.add(new Option(text, value));
}
function picture(set, number, alt) {
  const kept = data.pictures[set.ids[number]];
  if (!kept) return make("span", "absent", set.ids[number]);
  const image = make("img");
  image.alt = alt;
  image.title = set.ids[number];
  image.width = image.height = 96;
  image.decoding = "async";
  image.src = "data:image/webp;base64," + kept;
  return image;
}
function card(set, row, classifier) {
  const number = set.query[row], name = (n) => set.categories[n];
  const truth = name(set.true[number]), given = name(set.predicted[classifier][row]);
  const right = truth === given;
  const made = make("li", right ? "card right" : "card wrong");
  made.append(picture(set, number, "query instance, true category " + truth));
  const text = make("div", "said");
  text.append(make("strong", "", (right ? "✓ right" : "✗ wrong")));
  text.append(make("span", "", "true: " + truth), make("span", "", "predicted: " + given));
  text.append(make("span", "share", (100 * set.probability[classifier][row]).toFixed(1) + " %, seed " + set.seed[row]));
  made.append(text);
  const near = make("div", "near");
  near.append(make("span", "", "nearest support"));
  for (const each of set.nearest[row]) {
    const one = make("figure");
    one.append(picture(set, each, "support instance"), make("figcaption", "", name(set.true[each])));
    near.append(one);
  }
  made.append(near);
  return made;
}
function more() {
  const set = data.sets[by("set").value], classifier = by("classifier").value;
  const next = found.slice(shown, shown + PAGE).map((row) => card(set, row, classifier));
  by("cards").append(...next);
  shown += next.length;
  by("more").hidden = shown >= found.length;
}
function filter() {
  const set = data.sets[by("set").value], classifier = by("classifier").value;
  const truth = by("true").value, given = by("predicted").value, kind = by("answer-kind").value, seed = by("seed").value;
  const predicted = set.predicted[classifier], probability = set.probability[classifier];
  const right = (row) => set.true[set.query[row]] === predicted[row];
  found = [...set.query.keys()].filter((row) =>
    (truth === "" || set.true[set.query[row]] === Number(truth)) &&
    (given === "" || predicted[row] === Number(given)) &&
    (kind === "" || right(row) === (kind === "right")) &&
    (seed === "" || set.seed[row] === Number(seed)));
  found.sort((a, b) => right(a) - right(b) || set.true[set.query[a]] - set.true[set.query[b]] || probability[b] - probability[a]);
  const wrong = found.filter((row) => !right(row)).length;
  by("found").textContent = found.length + " answers, " + wrong + " wrong";
  by("cards").replaceChildren();
  shown = 0;
  more();
}
function change() {
  const set = data.sets[by("set").value];
  const names = set.categories.map((name, number) => [number, name]);
  options(by("classifier"), Object.keys(set.predicted).map((name) => [name, name]));
  if (data.reference in set.predicted) by("classifier").value = data.reference;
  options(by("true"), names, true);
  options(by("predicted"), names, true);
  options(by("seed"), [...new Set(set.seed)].map((seed) => [seed, seed]), true);
  filter();
}
if (by("filters") && data.sets.length) {
  options(by("set"), data.sets.map((set, number) => [number, set.product + ", " + set.shots + "-shot"]));
  by("set").value = Math.max(0, data.sets.findIndex((set) => set.shots === data.shots));
  by("set").addEventListener("change", change);
  for (const id of ["classifier", "true", "predicted", "answer-kind", "seed"]) by(id).addEventListener("change", filter);
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  by("more").addEventListener("click", more);
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting) && shown) more(); }, { rootMargin: "600px" }).observe(by("more"));
  change();
}
