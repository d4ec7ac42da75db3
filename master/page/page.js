// Follows a run by server-sent events and shows it. All foreign text goes in as text, never as markup.

import { PLACE, ROUND, Run, inDigits, inSeconds } from "./run.js";
import { Grid, HeatMap, drawCurve, drawTimes, readTheme, stateColour } from "./drawing.js";

const ROWS = 20;
const RANKED = 8;
const SHOWN_OUTCOMES = 60;
const SAY_EVERY_MS = 20000;
const SILENCE_MS = 15000;
const RETRY_MS = 2000;

const $ = (id) => document.getElementById(id);
const run = new Run();
const grid = new Grid($("grid"));
const map = new HeatMap($("map"));
let theme = readTheme();
let paused = false;
let due = false;
let page = 0;
let saidAt = 0;
let saidPhase = "";
let chosenPlace = null;
let chosenCell = null;

// ---- showing ----------------------------------------------------------------------------------------------

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(kind, className, text) {
  const element = document.createElement(kind);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** As many children as there are things, each made once and then only changed. */
function fill(parent, things, build, change) {
  while (parent.children.length > things.length) parent.lastElementChild.remove();
  while (parent.children.length < things.length) parent.append(build());
  things.forEach((thing, index) => change(parent.children[index], thing));
}

function showSoon() {
  if (due || paused || document.hidden) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    show();
  });
}

function show() {
  if (!run.id) return;
  showNow();
  showOutcomes();
  drawCurve($("curve"), run, theme);
  drawTimes($("times"), run, theme);
  showStates();
  grid.draw(run, theme, chosenPlace);
  if (chosenPlace !== null) put($("grid-said"), placeInWords(chosenPlace));
  map.draw(run, theme, chosenCell);
  if (!chosenCell) put($("map-said"), `One row ${map.bundle > 1 ? `${map.bundle} workers, the slowest shown` : "a worker"}, one column a round, the newest on the right.`);
  showRanking();
  showPlan();
  fill($("notes"), run.notes.slice().reverse(), () => make("li"), (item, [round, text]) => put(item, `round ${round}: ${text}`));
  showTable();
  say();
}

function showNow() {
  const { now, facts, last } = run;
  put($("name"), facts.name);
  put($("code"), now.code);
  put($("phase"), now.phase);
  setClass($("phase"), `badge ${{ running: "good", waiting: "warn" }[now.phase] || ""}`);
  document.title = now.round >= 0 ? `${now.round} of ${facts.rounds} - ${facts.name} - gradcode` : `${facts.name} - gradcode`;
  const bar = $("progress");
  bar.max = facts.rounds;
  bar.value = run.finished;
  put($("round"), now.round >= 0 ? String(now.round) : "-");
  put($("rounds"), String(facts.rounds));
  const newest = run.curve[run.curve.length - 1];
  put($("loss"), inDigits(last && last[ROUND.loss] !== null ? last[ROUND.loss] : newest ? newest[1] : null));
  put($("score"), now.score === null ? "-" : now.score.toFixed(4));
  put($("recovered"), last ? `${Math.floor(100 * last[ROUND.recovered])} %` : "-");
  put($("seconds"), last ? inSeconds(last[ROUND.seconds]) : "-");
  put($("deadline"), now.deadline === null ? "none" : inSeconds(now.deadline));
  const lost = run.places.filter((row) => row && run.states[row[PLACE.state]] === "lost").length;
  put($("linked"), String(now.n - lost));
  put($("places"), String(now.n) + (now.spares ? ` + ${now.spares}` : ""));
  put($("elapsed"), inSeconds(now.elapsed));
  put($("reason"), now.phase === "running" && now.reason ? now.reason : now.detail);
  put($("version"), `gradcode ${facts.version}`);
}

function showOutcomes() {
  for (const kind of ["exact", "approximate", "failed"]) {
    put($(kind), `${run.totals[kind]} ${kind}`);
    setClass($(kind), run.totals[kind] ? `badge ${{ exact: "good", approximate: "warn", failed: "bad" }[kind]}` : "badge");
  }
  const newest = run.rounds.slice(-SHOWN_OUTCOMES);
  const classes = { e: "good", a: "warn", f: "bad" };
  fill($("strip"), newest, () => make("i"), (cell, row) => {
    setClass(cell, classes[row[ROUND.outcome]]);
    put(cell, row[ROUND.outcome] === "e" ? "" : row[ROUND.outcome].toUpperCase());
  });
  if (newest.length) {
    const poor = newest.filter((row) => row[ROUND.outcome] !== "e").length;
    $("strip").setAttribute("aria-label", `Of the last ${newest.length} rounds ${newest.length - poor} were exact`);
  }
}

function showStates() {
  fill($("states"), [...run.stateCounts()], () => {
    const item = make("li");
    item.append(make("i", "key"), make("span"));
    item.firstChild.setAttribute("aria-hidden", "true");
    return item;
  }, (item, [state, count]) => {
    item.firstChild.style.background = theme[stateColour(state)];
    put(item.lastChild, ` ${count} ${state}`);
  });
}

function showRanking() {
  const slow = run.ranking(RANKED);
  $("nobody").hidden = slow.length > 0;
  fill($("ranking"), slow, () => {
    const item = make("li");
    item.append(make("span"), make("span", "muted"), make("progress"));
    return item;
  }, (item, row) => {
    const [name, count, bar] = item.children;
    put(name, `place ${row[PLACE.place]} ${run.name(row[PLACE.place])}`);
    put(count, `${row[PLACE.straggled]} of ${run.finished} rounds`);
    bar.max = Math.max(1, run.finished);
    bar.value = row[PLACE.straggled];
    bar.setAttribute("aria-label", `Share of rounds in which place ${row[PLACE.place]} straggled`);
  });
}

function showPlan() {
  const { now, facts } = run;
  const loads = run.places.filter(Boolean).map((row) => row[PLACE.load]);
  const started = new Date(1000 * facts.started);
  const entries = [
    ["Code", now.code || "-"],
    ["Epoch", String(now.epoch)],
    ["Places", `${now.n}, ${now.spares} spare`],
    ["Chunks a worker", loads.length ? span(loads) : "-"],
    ["Run", facts.id],
    ["Started", started.toLocaleString()],
  ];
  const flat = entries.flatMap(([term, text]) => [["dt", term], ["dd", text]]);
  const list = $("plan");
  if (list.children.length !== flat.length) list.replaceChildren(...flat.map(([kind]) => make(kind)));
  flat.forEach(([, text], index) => put(list.children[index], text));
}

function span(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low === high ? String(low) : `${low} to ${high}`;
}

function showTable() {
  const rows = run.ordered($("order").value);
  const pages = Math.max(1, Math.ceil(rows.length / ROWS));
  page = Math.min(page, pages - 1);
  const shown = rows.slice(page * ROWS, (page + 1) * ROWS);
  put($("range"), rows.length ? `${page * ROWS + 1} to ${page * ROWS + shown.length} of ${rows.length}` : "none");
  $("before").disabled = page === 0;
  $("after").disabled = page === pages - 1;
  fill($("rows"), shown, makeRow, changeRow);
}

function makeRow() {
  const row = make("tr");
  const place = make("th");
  place.scope = "row";
  row.append(place, make("td", "name roomy"), make("td"), make("td"), make("td", "roomy"), make("td"), make("td", "roomy"));
  row.children[2].append(make("span", "badge"));
  const bar = make("progress");
  bar.setAttribute("aria-label", "Chunks finished");
  row.children[3].append(bar, make("span"));
  return row;
}

const BADGES = { good: "badge good", warn: "badge warn", bad: "badge bad" };

function changeRow(element, row) {
  const [place, name, state, chunks, pace, straggled, late] = element.children;
  const said = run.stateOf(row);
  put(place, String(row[PLACE.place]));
  put(name, run.name(row[PLACE.place]) || "-");
  put(state.firstChild, said);
  setClass(state.firstChild, BADGES[stateColour(said)] || "badge");
  chunks.firstChild.max = Math.max(1, row[PLACE.load]);
  chunks.firstChild.value = row[PLACE.finished];
  put(chunks.lastChild, `${row[PLACE.finished]}/${row[PLACE.load]}${row[PLACE.inHand] ? " +1" : ""}`);
  put(pace, inSeconds(row[PLACE.pace]));
  put(straggled, run.finished ? `${Math.round((100 * row[PLACE.straggled]) / run.finished)} %` : "-");
  put(late, String(row[PLACE.late]));
}

function placeInWords(place) {
  const row = run.places[place];
  if (!row) return "";
  const hand = row[PLACE.inHand] ? ", one in hand" : "";
  return `Place ${place}, ${run.name(place) || "nobody"}: ${run.stateOf(row)}, ${row[PLACE.finished]} of ${row[PLACE.load]} chunks finished${hand}, ${row[PLACE.late]} came late so far; ${inSeconds(row[PLACE.pace])} a chunk; straggled in ${row[PLACE.straggled]} of ${run.finished} rounds`;
}

/** A summary for those who do not see the page: now and then, and when something decisive happens. */
function say() {
  const now = performance.now();
  if (run.now.phase === saidPhase && now - saidAt < SAY_EVERY_MS) return;
  saidAt = now;
  saidPhase = run.now.phase;
  const states = [...run.stateCounts()].map(([state, count]) => `${count} ${state}`).join(", ");
  const loss = run.last ? `, loss ${inDigits(run.last[ROUND.loss])}` : "";
  const round = run.now.round >= 0 ? `round ${run.now.round} of ${run.facts.rounds}${loss}; ` : "";
  put($("summary"), `${run.now.phase}: ${round}workers: ${states}. ${run.now.phase === "running" ? "" : run.now.detail}`);
}

// ---- choosing ---------------------------------------------------------------------------------------------

function follow(canvas, find, choose) {
  canvas.addEventListener("pointermove", (event) => choose(find(event.offsetX, event.offsetY)));
  canvas.addEventListener("pointerdown", (event) => choose(find(event.offsetX, event.offsetY)));
}

function choosePlace(place) {
  if (place === null || place === undefined) return;
  chosenPlace = place;
  put($("grid-said"), placeInWords(place));
  showSoon();
}

function chooseCell(cell) {
  if (!cell) return;
  chosenCell = cell;
  put($("map-said"), map.inWords(cell, run));
  showSoon();
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

follow($("grid"), (x, y) => grid.at(x, y, run), choosePlace);
follow($("map"), (x, y) => map.at(x, y, run), chooseCell);
$("grid").addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step || !run.places.length) return;
  event.preventDefault();
  const from = chosenPlace === null ? -step[0] - step[1] * grid.columns : chosenPlace;
  choosePlace(clamp(from + step[0] + step[1] * grid.columns, 0, run.places.length - 1));
});
$("map").addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step || !map.shown) return;
  event.preventDefault();
  const from = chosenCell || { place: 0, column: map.shown - 1 };
  const last = Math.floor((run.places.length - 1) / map.bundle) * map.bundle;
  const place = clamp(from.place + step[1] * map.bundle, 0, last);
  chooseCell({ place, column: clamp(from.column + step[0], 0, map.shown - 1) });
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  showSoon();
});
$("order").addEventListener("change", () => {
  page = 0;
  show();
});
$("before").addEventListener("click", () => {
  page = Math.max(0, page - 1);
  show();
});
$("after").addEventListener("click", () => {
  page += 1;
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  theme = readTheme();
  map.forget();
  show();
});
document.addEventListener("visibilitychange", showSoon);
new ResizeObserver(showSoon).observe($("now"));

// ---- connection -------------------------------------------------------------------------------------------

let source = null;
let heardAt = 0;
let version = "";

function connect() {
  if (source) source.close();
  heardAt = performance.now();
  source = new EventSource("events");
  source.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    lose();
    // The browser tries again by itself after a broken connection, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  });
}

function hear(told) {
  heardAt = performance.now();
  if (told.kind === "snapshot") {
    if (version && version !== told.run.version) {
      location.reload();
      return;
    }
    version = told.run.version;
  }
  if (run.hear(told)) {
    chosenPlace = chosenCell = null;
    page = 0;
    map.forget();
    put($("summary"), `Another run has begun: ${run.facts.name}`);
  } else if (told.kind === "snapshot") {
    map.forget();
  }
  put($("line"), "live");
  document.documentElement.classList.remove("stale");
  showSoon();
}

function lose() {
  const over = run.now.phase === "finished";
  const text = over ? "the run is over; waiting for the next" : "the master is away; trying again";
  if ($("line").textContent === text) return;
  put($("line"), text);
  put($("summary"), text);
  document.documentElement.classList.toggle("stale", !over);
}

setInterval(() => {
  if (performance.now() - heardAt < SILENCE_MS) return;
  lose();
  connect();
}, RETRY_MS);
connect();
