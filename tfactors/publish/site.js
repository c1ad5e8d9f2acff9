// Search, map, curves and links of the dashboard, on a site that has no server.
// Indexes are scripts (data/*.js), because a page opened from a folder may not fetch a file.
// All that stands in them is text: it reaches the page as text nodes alone.
"use strict";

const LEVELS = ["", "low", "mid", "high"];
const SVG = "http://www.w3.org/2000/svg";
const loaded = new Map();
const asked = new Map();
const query = new URLSearchParams(location.search);
const here = location.pathname.split("/").pop() || "index.html";

document.querySelectorAll("[data-without-scripts]").forEach((said) => said.remove());

globalThis.published = (name, value) => loaded.set(name, value);

function load(name) {
  if (!asked.has(name)) {
    asked.set(name, new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => done(loaded.get(name));
      script.onerror = () => failed(new Error(`data/${name}.js is missing`));
      document.head.append(script);
    }));
  }
  return asked.get(name);
}

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function say(text) {
  const notice = document.getElementById("notice");
  if (notice) notice.textContent = text;
}

const number = (text) => (/^\d{1,9}$/.test(text ?? "") ? Number(text) : null);

function pageOf(index, factor, layer) {
  const known = layer !== null && index.layers.includes(layer);
  return `factors/${factor}.html${known ? `#layer-${layer}` : ""}`;
}

function linkOf(index, factor, layer = null) {
  const link = element("a", "", { href: pageOf(index, factor, layer) });
  link.append(element("bdi", index.names[factor]));
  return link;
}

function levelOf(index, factor) {
  const level = LEVELS[index.levels[factor]];
  return element("small", level || "no level", { class: `tf-${level || "dead"}` });
}

// --- a link of the dashboard: ?factor=30&layer=4 -------------------------------------------------

async function openFactor() {
  if (!query.has("factor") || !["Factor.html", "Factor", "index.html"].includes(here)) return;
  const index = await load("names");
  const factor = number(query.get("factor"));
  const layer = number(query.get("layer"));
  if (factor === null || factor >= index.names.length) {
    say(`The link asks for factor “${query.get("factor").slice(0, 40)}”: the factors of this bundle are 0 to ${index.names.length - 1}.`);
    return;
  }
  location.replace(pageOf(index, factor, layer));
}

// A whole link of the dashboard, as somebody pastes it: the page of ours that it stands for.
function pageOfLink(text) {
  let link;
  try {
    link = new URL(text.replace("#/factor/", "Factor?factor="));
  } catch {
    return null;
  }
  if (!/^(https?|file):$/.test(link.protocol)) return null;
  const name = link.pathname.split("/").pop().replace(/\.html$/, "");
  const pages = ["Factor", "Random_by_level", "Curves_and_saliency", "Search", "Map"];
  const asked = link.search.replace(/\?(?=.*\?)|(?<=\?.*)\?/g, (mark, at) => (at ? "&" : mark));
  if (pages.includes(name)) return `${name}.html${asked}`;
  return link.search.includes("factor=") ? `Factor.html${asked}` : null;
}

// --- search --------------------------------------------------------------------------------------

// The index has words in lower case as Python's casefold makes it.
const folded = (text) => text.toUpperCase().toLowerCase().replaceAll("ς", "σ").replaceAll("ß", "ss");

function hashOf(word) {
  let value = 0;
  for (const letter of word) value = (value * 31 + letter.codePointAt(0)) % 65521;
  return value;
}

async function rowsOf(index, word) {
  const part = await load(`words-${hashOf(word) % index.parts}`);
  return part.find((entry) => entry[0] === word) ?? [word, 0, []];
}

const ownPlace = (one, other) => one.factor - other.factor;

// The words of a query as the dashboard takes them: without marks around, and those of a script
// without blanks parted by the browser's own dictionary.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const MARKS = /^[.,;:!?"'()[\]。、「」！？]+|[.,;:!?"'()[\]。、「」！？]+$/gu;

function wordsOf(text) {
  const parts = folded(text).split(/\s+/).flatMap((part) => {
    if (!UNSPACED.test(part) || !Intl.Segmenter) return [part];
    return [...new Intl.Segmenter(undefined, { granularity: "word" }).segment(part)].map((of) => of.segment);
  });
  return [...new Set(parts.map((part) => part.replace(MARKS, "")).filter(Boolean))].slice(0, 8);
}

async function found(text) {
  const index = await load("names");
  const words = wordsOf(text);
  const matches = new Map();
  const tables = await Promise.all(words.map((word) => rowsOf(index, word)));
  const tokens = tables.reduce((sum, table) => sum + table[1], 0);
  for (const [, occurrences, rows] of tables) {
    for (const [factor, layer, match] of rows) {
      const known = matches.get(factor) ?? { factor, layer, match: 0, best: 0 };
      const part = (match / 1000) * (occurrences / tokens);
      known.match += part;
      if (part > known.best) Object.assign(known, { layer, best: part });
      matches.set(factor, known);
    }
  }
  const byNumber = words.map(number).filter((at) => at !== null && at < index.names.length);
  const byWord = [...matches.values()].sort((a, b) => b.match - a.match || ownPlace(a, b));
  const seen = new Set([...byNumber, ...matches.keys()]);
  const byName = index.names
    .map((name, factor) => ({ name: folded(`${name} ${index.byModel[factor] ?? ""}`), factor }))
    .filter(({ name, factor }) => !seen.has(factor) && words.some((word) => name.includes(word)));
  const first = byNumber.map((factor) => ({ factor, layer: null, match: null }));
  const rest = byWord.filter((row) => !byNumber.includes(row.factor));
  const missing = tables.filter((table, at) => !table[1] && number(words[at]) === null).map((t) => t[0]);
  return { index, missing, rows: [...first, ...rest, ...byName.map(({ factor }) => ({ factor, layer: null, match: null }))] };
}

async function search() {
  const list = document.getElementById("found");
  if (!list || !query.get("q")?.trim()) return;
  const text = query.get("q").slice(0, 500);
  document.getElementById("q").value = text;
  const page = pageOfLink(text.trim());
  if (page) {
    location.replace(page);
    return;
  }
  const { index, missing, rows } = await found(text);
  const level = LEVELS.indexOf(query.get("in") || "-");
  const shown = rows.filter(({ factor }) => level < 0 || index.levels[factor] === level).slice(0, 200);
  for (const { factor, layer, match } of shown) {
    const row = element("li");
    row.append(element("span", match === null ? "" : match.toFixed(2), match === null ? {} : { title: "match" }));
    row.append(" ", linkOf(index, factor, layer), " ", levelOf(index, factor));
    if (layer !== null) row.append(" ", element("small", `at layer ${layer}`));
    list.append(row);
  }
  const unknown = missing.length ? ` Not a word of this corpus’s index: ${missing.join(", ")}.` : "";
  say(`${shown.length ? `${shown.length} factors, best first.` : "No factor was found."}${unknown}`);
}

// --- curves --------------------------------------------------------------------------------------

function drawn(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function step(highest) {
  const power = 10 ** Math.floor(Math.log10(highest / 4));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= highest / 4 - 1e-9);
}

const DASHES = ["", "6 3", "2 2", "8 3 2 3"];

async function curves() {
  const field = document.getElementById("factors");
  if (!field || !query.get("factors")) return;
  const [index, data] = await Promise.all([load("names"), load("curves")]);
  const wanted = [...new Set(query.get("factors").split(",").map((text) => number(text.trim())))];
  const known = wanted.filter((at) => at !== null && at < index.names.length && data.known[at]).slice(0, 12);
  if (known.length < wanted.length) say(`Shown: ${known.join(", ") || "none"}. The factors of this bundle are 0 to ${index.names.length - 1}, and 12 curves are the most.`);
  field.value = known.join(",");
  if (!known.length) return;
  const share = query.get("scale") === "peak";
  const scaled = (row) => { const top = share ? Math.max(...row, 1) : 1000; return row.map((value) => value / top); };
  const rows = known.map((factor) => scaled(data.importance[factor]));
  const band = share ? [] : data.band.map(scaled);
  const tick = step(Math.max(...rows.flat(), ...band.flat(), 1e-3));
  const top = tick * Math.ceil(Math.max(...rows.flat(), ...band.flat(), tick) / tick);
  const x = (at) => 44 + (764 / data.layers.length) * (at + 0.5);
  const y = (value) => 300 - (288 * value) / top;
  const line = (row) => row.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const picture = drawn("svg", { class: "curve", viewBox: "0 0 820 345", role: "group", "aria-label": `Importance by layer of the factors ${known.join(", ")}` });
  for (let n = 0; n <= Math.round(top / tick); n += 1) {
    picture.append(drawn("path", { class: "grid", d: `M44 ${y(n * tick)}H808` }), drawn("text", { x: 37, y: y(n * tick) + 4, class: "end" }, String(Number((n * tick).toPrecision(6)))));
  }
  data.layers.forEach((layer, at) => picture.append(drawn("text", { x: x(at), y: 318 }, layer)));
  picture.append(drawn("text", { x: 426, y: 339 }, "layer"));
  if (band.length) {
    const upper = line(band[2]), lower = line(band[0]).split(" ").reverse().join(" ");
    picture.append(drawn("polygon", { class: "band", points: `${upper} ${lower}` }), drawn("polyline", { class: "middle", points: line(band[1]) }));
  }
  const legend = element("ul", "", { class: "plain" });
  known.forEach((factor, at) => {
    const look = { class: "line", "stroke-dasharray": DASHES[(at + Math.floor(at / 8)) % 4] };
    const group = drawn("g", { class: `colour-${at % 8}` });
    group.append(drawn("polyline", { ...look, points: line(rows[at]) }));
    rows[at].forEach((value, place) => {
      const link = drawn("a", { href: pageOf(index, factor, data.layers[place]), "aria-label": `${index.names[factor]}, layer ${data.layers[place]}: ${value.toFixed(3)}` });
      const dot = drawn("circle", { cx: x(place), cy: y(value), r: 4.5 });
      dot.append(drawn("title", {}, `${index.names[factor]}, layer ${data.layers[place]}: ${value.toFixed(3)}`));
      link.append(dot);
      group.append(link);
    });
    picture.append(group);
    const entry = element("li");
    const swatch = drawn("svg", { class: `curve swatch colour-${at % 8}`, viewBox: "0 0 40 10", "aria-hidden": "true" });
    swatch.append(drawn("polyline", { ...look, points: "0,5 40,5" }));
    entry.append(swatch, " ", linkOf(index, factor), " ", levelOf(index, factor));
    legend.append(entry);
  });
  picture.style.maxWidth = "56rem";
  document.getElementById("drawn").append(picture, legend);
}

// --- map -----------------------------------------------------------------------------------------

async function map() {
  const maps = [...document.querySelectorAll(".mapped")];
  if (!maps.length) return;
  const [index, data] = await Promise.all([load("names"), load("map")]);
  for (const frame of maps) {
    const picture = frame.querySelector("svg"), tip = frame.querySelector(".tip");
    const places = data[frame.dataset.map];
    const ring = drawn("circle", { class: "lit", r: 12, cx: -99, cy: -99 });
    picture.append(ring);
    let current = number(query.get("factor"));
    const show = (factor) => {
      current = factor;
      ring.setAttribute("cx", places[factor][0]);
      ring.setAttribute("cy", places[factor][1]);
      tip.replaceChildren(linkOf(index, factor), " ", levelOf(index, factor));
    };
    const nearest = (event) => {
      const box = picture.getBoundingClientRect();
      const [a, b] = [((event.clientX - box.left) / box.width) * data.side, ((event.clientY - box.top) / box.height) * data.side];
      let best = null, least = 40 ** 2;
      places.forEach((place, factor) => {
        if (!place) return;
        const away = (place[0] - a) ** 2 + (place[1] - b) ** 2;
        if (away < least) [best, least] = [factor, away];
      });
      return best;
    };
    picture.addEventListener("pointermove", (event) => { const at = nearest(event); if (at !== null) show(at); });
    picture.addEventListener("click", (event) => { const at = nearest(event); if (at !== null) location.assign(pageOf(index, at, null)); });
    frame.addEventListener("keydown", (event) => {
      const side = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (event.key === "Enter" && current !== null && event.target === frame) location.assign(pageOf(index, current, null));
      if (!side) return;
      event.preventDefault();
      const from = places[current] ?? [data.side / 2, data.side / 2];
      let best = null, least = Infinity;
      places.forEach((place, factor) => {
        if (!place || factor === current) return;
        const along = (place[0] - from[0]) * side[0] + (place[1] - from[1]) * side[1];
        const across = Math.abs((place[0] - from[0]) * side[1] + (place[1] - from[1]) * side[0]);
        if (along > 0 && along + 2 * across < least) [best, least] = [factor, along + 2 * across];
      });
      if (best !== null) show(best);
    });
    if (current !== null && places[current]) show(current); else current = null;
  }
  lightUp(index, data, maps);
}

function lightUp(index, data, maps) {
  const field = document.getElementById("lit");
  const light = () => {
    const text = folded(field.value.trim());
    const hits = text ? index.names.flatMap((name, at) => (folded(name).includes(text) ? [at] : [])) : [];
    for (const frame of maps) {
      const picture = frame.querySelector("svg"), places = data[frame.dataset.map];
      picture.querySelectorAll("a").forEach((old) => old.remove());
      picture.classList.toggle("some", hits.length > 0);
      for (const factor of hits.slice(0, 200)) {
        if (!places[factor]) continue;
        const link = drawn("a", { href: pageOf(index, factor, null), "aria-label": index.names[factor] });
        link.append(drawn("circle", { class: "lit", r: 9, cx: places[factor][0], cy: places[factor][1] }));
        picture.append(link);
      }
    }
    say(text ? `${hits.length} factors have “${field.value.trim()}” in their name.` : "");
  };
  field.addEventListener("input", light);
  document.getElementById("light").addEventListener("submit", (event) => event.preventDefault());
  const asked = query.get("places");
  if (asked) document.getElementById(asked)?.scrollIntoView();
}

// --- levels --------------------------------------------------------------------------------------

async function levels() {
  const buttons = [...document.querySelectorAll("button[data-draw]")];
  const wanted = query.get("level");
  if (["low", "mid", "high"].includes(wanted) && here.startsWith("Random_by_level")) location.replace(`levels/${wanted}-1.html`);
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const index = await load("names");
      const level = LEVELS.indexOf(button.dataset.draw);
      const members = index.levels.flatMap((of, factor) => (of === level ? [factor] : []));
      location.assign(pageOf(index, members[Math.floor(Math.random() * members.length)], null));
    });
  }
}

for (const part of [openFactor, search, curves, map, levels]) part().catch((error) => say(error.message));
