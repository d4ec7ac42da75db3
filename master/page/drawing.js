// Charts on canvases. Each drawing takes the run as it is; none keeps more than fits on it.

import { PLACE, ROUND, cellInWords, inDigits, inSeconds } from "./run.js";

const FONT = "12px system-ui, sans-serif";
const MOST_ROWS = 500;

/** Colours of the theme in force. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const theme = {};
  for (const name of ["card", "ink", "muted", "line", "accent", "good", "warn", "bad", "away", "none",
    "good-ground", "warn-ground", "bad-ground", "away-ground", "heat-low", "heat-high", "slow-low", "slow-high"]) {
    theme[name] = style.getPropertyValue(`--${name}`).trim();
  }
  theme.cells = cellColours(theme);
  return theme;
}

function numbers(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function between(low, high, share) {
  const [a, b] = [numbers(low), numbers(high)];
  return a.map((value, index) => Math.round(value + (b[index] - value) * share));
}

function cellColours(theme) {
  const colours = { x: numbers(theme.away), s: numbers(theme["slow-high"]), "-": numbers(theme.none) };
  for (let level = 0; level <= 8; level += 1) {
    colours[String(level)] = between(theme["heat-low"], theme["heat-high"], level / 8);
    colours[String.fromCharCode(65 + level)] = between(theme["slow-low"], theme["slow-high"], Math.max(0, level - 3) / 5);
  }
  return colours;
}

const STATE_COLOURS = {
  computing: "good", idle: "accent", straggling: "warn", "link too slow": "warn", loading: "accent",
  awaited: "accent", draining: "away", lost: "bad",
};

export function stateColour(state) {
  return STATE_COLOURS[state] || "away";
}

/** The canvas with as many pixels as the screen has, cleared; sizes are in CSS pixels. */
function paper(canvas, height) {
  const width = canvas.clientWidth;
  if (height) setHeight(canvas, height);
  const tall = height || canvas.clientHeight;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const [w, h] = [Math.round(width * ratio), Math.round(tall * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, tall);
  pen.font = FONT;
  pen.textBaseline = "middle";
  return { pen, width, height: tall };
}

function setHeight(canvas, height) {
  const wanted = `${height}px`;
  if (canvas.style.height !== wanted) canvas.style.height = wanted;
}

function setLabel(canvas, text) {
  if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
}

/** Lines with numbers at the left; returns the room that is left for the chart. */
function frame(pen, width, height, theme, labels) {
  const left = Math.max(...labels.map(([text]) => pen.measureText(text).width)) + 8;
  pen.strokeStyle = theme.line;
  pen.fillStyle = theme.muted;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  for (const [text, y] of labels) {
    pen.fillText(text, left - 6, y);
    pen.beginPath();
    pen.moveTo(left, Math.round(y) + 0.5);
    pen.lineTo(width, Math.round(y) + 0.5);
    pen.stroke();
  }
  return left;
}

export function drawCurve(canvas, run, theme) {
  const { pen, width, height } = paper(canvas);
  const points = run.curve;
  if (!points.length) return;
  const losses = points.map((point) => point[1]);
  const logarithmic = losses.every((value) => value > 0);
  const rise = (value) => (logarithmic ? Math.log(value) : value);
  let [low, high] = [Infinity, -Infinity];
  for (const value of losses) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const [bottom, top] = [height - 24, 12];
  const span = rise(high) - rise(low) || 1;
  const y = (value) => bottom - ((rise(value) - rise(low)) / span) * (bottom - top);
  const middle = logarithmic ? Math.sqrt(low * high) : (low + high) / 2;
  const ticks = high > low ? [high, middle, low] : [high];
  const left = frame(pen, width, height, theme, ticks.map((value) => [inDigits(value, 3), y(value)]));
  const [from, to] = [points[0][0], Math.max(points[points.length - 1][0], points[0][0] + 1)];
  const x = (round) => left + ((round - from) / (to - from)) * (width - left - 4);
  pen.beginPath();
  for (const [round, loss] of points) pen.lineTo(x(round), y(loss));
  pen.strokeStyle = theme.accent;
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.stroke();
  drawSpan(pen, left, width, height, theme, from, points[points.length - 1][0]);
  const scale = logarithmic ? ", logarithmic scale" : "";
  setLabel(canvas, `Loss from ${inDigits(losses[0])} in round ${from} to ${inDigits(losses[losses.length - 1])} in round ${points[points.length - 1][0]}${scale}`);
}

function drawSpan(pen, left, width, height, theme, from, to) {
  pen.fillStyle = theme.muted;
  pen.textAlign = "left";
  pen.fillText(`round ${from}`, left, height - 8);
  pen.textAlign = "right";
  pen.fillText(String(to), width - 2, height - 8);
}

export function drawTimes(canvas, run, theme) {
  const { pen, width, height } = paper(canvas);
  const rounds = run.rounds.slice(-Math.max(20, Math.floor(width / 5)));
  if (!rounds.length) return;
  const times = rounds.map((row) => row[ROUND.seconds] || 0);
  const deadlines = rounds.map((row) => row[ROUND.deadline]).filter((value) => value !== null);
  const usual = [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
  // A single endless round must not flatten all others: it is cut off at the top.
  const longest = Math.max(Math.min(Math.max(...times, ...deadlines), 3 * usual), 1e-6) * 1.05;
  const [bottom, top] = [height - 24, 12];
  const y = (seconds) => bottom - (Math.min(seconds, longest) / longest) * (bottom - top);
  const labels = [[inSeconds(longest / 1.05), y(longest / 1.05)], ["0 s", bottom]];
  const left = frame(pen, width, height, theme, labels);
  const step = (width - left - 2) / Math.max(rounds.length, 20);
  const colours = { e: theme.good, a: theme.warn, f: theme.bad };
  rounds.forEach((row, index) => {
    pen.fillStyle = colours[row[ROUND.outcome]];
    const at = y(times[index]);
    pen.fillRect(left + index * step, at, Math.max(1, step - 1), bottom - at);
  });
  pen.strokeStyle = theme.ink;
  pen.setLineDash([4, 3]);
  pen.lineWidth = 1.5;
  pen.beginPath();
  let began = false;
  rounds.forEach((row, index) => {
    if (row[ROUND.deadline] === null) return;
    const at = y(row[ROUND.deadline]);
    if (began) pen.lineTo(left + index * step, at);
    else pen.moveTo(left, at);
    pen.lineTo(left + (index + 1) * step, at);
    began = true;
  });
  pen.stroke();
  pen.setLineDash([]);
  const [first, last] = [rounds[0], rounds[rounds.length - 1]];
  drawSpan(pen, left, width, height, theme, first[ROUND.round], last[ROUND.round]);
  const deadline = last[ROUND.deadline] === null ? "no deadline" : `deadline ${inSeconds(last[ROUND.deadline])}`;
  setLabel(canvas, `Round times: the last took ${inSeconds(last[ROUND.seconds])}, usual is ${inSeconds([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)])}, ${deadline}`);
}

/** Tiles that fill as chunks are finished. */
export class Grid {
  constructor(canvas) {
    this.canvas = canvas;
    this.columns = 1;
    this.tile = [1, 1];
  }

  draw(run, theme, chosen) {
    const n = run.places.length;
    const wide = this.canvas.clientWidth;
    const [w, h] = n <= 16 ? [84, 54] : n <= 120 ? [46, 34] : n <= 400 ? [22, 16] : [12, 10];
    this.columns = Math.max(1, Math.min(n, Math.floor(wide / w)));
    const stretched = n <= 16 ? Math.min(200, wide / this.columns) : wide / Math.max(this.columns, Math.floor(wide / w));
    this.tile = [stretched, h];
    const { pen } = paper(this.canvas, Math.max(h, Math.ceil(n / this.columns) * h));
    const gap = h > 12 ? 4 : 1;
    for (const row of run.places) if (row) this.drawTile(pen, run, theme, row, gap, row[PLACE.place] === chosen);
  }

  drawTile(pen, run, theme, row, gap, chosen) {
    const [w, h] = this.tile;
    const place = row[PLACE.place];
    const [x, y] = [(place % this.columns) * w, Math.floor(place / this.columns) * h];
    const state = run.stateOf(row);
    const colour = stateColour(state);
    const [wide, tall] = [w - gap, h - gap];
    pen.fillStyle = theme[`${colour}-ground`] || theme["away-ground"];
    pen.fillRect(x, y, wide, tall);
    const share = row[PLACE.load] ? Math.min(1, row[PLACE.finished] / row[PLACE.load]) : 0;
    const bar = h >= 30 ? 5 : tall;
    pen.fillStyle = theme[colour];
    if (state === "lost") {
      if (h < 50) pen.fillRect(x, y + tall / 2 - 1, wide, 2);
    } else {
      pen.fillRect(x, y + tall - bar, wide * share, bar);
      if (row[PLACE.inHand] && w > 20) {
        pen.beginPath();
        pen.arc(x + wide - 8, y + (h >= 30 ? 9 : tall / 2), 3, 0, 7);
        pen.fill();
      }
    }
    if (h > 12 && run.wasLate(place)) {
      pen.fillStyle = theme.bad;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 7, y);
      pen.lineTo(x, y + 7);
      pen.fill();
    }
    const said = state === "lost" ? "lost" : `${row[PLACE.finished]} of ${row[PLACE.load]}`;
    if (h >= 30) this.write(pen, theme, place, said, x, y, h);
    if (chosen) {
      pen.strokeStyle = theme.ink;
      pen.lineWidth = 2;
      pen.strokeRect(x + 1, y + 1, wide - 2, tall - 2);
    }
  }

  write(pen, theme, place, said, x, y, h) {
    pen.fillStyle = theme.ink;
    pen.textAlign = "left";
    pen.font = h >= 50 ? `600 15px system-ui, sans-serif` : FONT;
    pen.fillText(String(place), x + 8, y + (h >= 50 ? 15 : 11));
    pen.font = FONT;
    if (h >= 50) pen.fillText(said, x + 8, y + 34);
  }

  /** The place at a point of the canvas, or null. */
  at(x, y, run) {
    const column = Math.floor(x / this.tile[0]);
    const place = Math.floor(y / this.tile[1]) * this.columns + column;
    return column < this.columns && run.places[place] ? place : null;
  }
}

const BADNESS = "-012345678ABCDEFGHIsx";

/** The map, kept as one pixel a cell: a new round costs one column. */
export class HeatMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.pixels = document.createElement("canvas");
    this.rows = 0;
    this.forget();
  }

  forget() {
    this.newest = -1;
    this.rows = 0;
  }

  draw(run, theme, chosen) {
    const n = Math.max(1, run.places.length);
    this.bundle = Math.ceil(n / MOST_ROWS);
    const rows = Math.ceil(n / this.bundle);
    if (this.rows !== rows || this.pixels.width !== run.keep) {
      this.rows = rows;
      this.pixels.width = run.keep;
      this.pixels.height = rows;
      this.newest = -1;
    }
    this.take(run, theme);
    const row = rows <= 16 ? 17 : rows <= 40 ? 11 : rows <= 100 ? 6 : rows <= 200 ? 3 : rows <= 300 ? 2 : 1;
    const { pen, width } = paper(this.canvas, rows * row + 22);
    this.left = row >= 10 ? 26 : 0;
    this.row = row;
    const room = width - this.left;
    const most = Math.min(run.keep, Math.max(20, Math.floor(room / (room < 500 ? 4 : 5))));
    this.columns = Math.min(most, Math.max(60, run.rounds.length));
    this.column = room / this.columns;
    this.shown = Math.min(this.columns, run.rounds.length);
    pen.imageSmoothingEnabled = false;
    this.paste(pen, run);
    this.label(pen, run, theme, rows, width);
    if (chosen) {
      pen.strokeStyle = theme.ink;
      pen.lineWidth = 2;
      const y = Math.floor(chosen.place / this.bundle) * row;
      pen.strokeRect(this.left + chosen.column * this.column, y, Math.max(4, this.column), Math.max(4, row));
    }
  }

  /** Writes the rounds that are not on the map yet. */
  take(run, theme) {
    const pen = this.pixels.getContext("2d");
    for (const round of run.rounds) {
      if (round[ROUND.round] <= this.newest) continue;
      this.newest = round[ROUND.round];
      const image = pen.createImageData(1, this.rows);
      for (let row = 0; row < this.rows; row += 1) {
        const colour = theme.cells[this.worst(round[ROUND.cells], row)];
        image.data.set(colour, 4 * row);
        image.data[4 * row + 3] = 255;
      }
      pen.putImageData(image, round[ROUND.round] % run.keep, 0);
    }
  }

  worst(cells, row) {
    if (this.bundle === 1) return cells[row] || "-";
    let found = 0;
    for (let place = row * this.bundle; place < (row + 1) * this.bundle; place += 1) {
      found = Math.max(found, BADNESS.indexOf(cells[place] || "-"));
    }
    return BADNESS[found];
  }

  /** The newest rounds; the map is a ring, so that they may lie in two pieces. */
  paste(pen, run) {
    if (!this.shown) return;
    const first = run.rounds[run.rounds.length - this.shown][ROUND.round] % run.keep;
    const head = Math.min(this.shown, run.keep - first);
    const tall = this.rows * this.row;
    const paste = (from, count, at) => pen.drawImage(
      this.pixels, from, 0, count, this.rows, this.left + at * this.column, 0, count * this.column, tall);
    paste(first, head, 0);
    if (head < this.shown) paste(0, this.shown - head, head);
  }

  label(pen, run, theme, rows, width) {
    const tall = rows * this.row;
    pen.fillStyle = theme.muted;
    pen.textAlign = "right";
    if (this.left) {
      for (let place = 0; place < rows; place += this.row >= 16 ? 1 : 2) {
        pen.fillText(String(place), this.left - 6, (place + 0.5) * this.row);
      }
    }
    if (this.row >= 6) {
      pen.fillStyle = theme.card;
      for (let row = 1; row < rows; row += 1) pen.fillRect(this.left, row * this.row - 1, width, 1);
    }
    if (!this.shown) return;
    const shown = run.rounds.slice(-this.shown);
    drawSpan(pen, this.left, Math.max(this.left + this.shown * this.column, 120), tall + 20, theme, shown[0][ROUND.round], shown[shown.length - 1][ROUND.round]);
  }

  /** The cell at a point of the canvas, or null. */
  at(x, y, run) {
    const column = Math.floor((x - this.left) / this.column);
    const place = Math.floor(y / this.row) * this.bundle;
    return column >= 0 && column < this.shown && place < run.places.length ? { place, column } : null;
  }

  inWords(cell, run) {
    const round = run.rounds[run.rounds.length - this.shown + cell.column];
    if (!round) return "";
    const more = this.bundle > 1 ? `places ${cell.place} to ${cell.place + this.bundle - 1}, the worst` : `place ${cell.place}, ${run.name(cell.place) || "nobody"}`;
    return `Round ${round[ROUND.round]}, ${more}: ${cellInWords(this.worst(round[ROUND.cells], Math.floor(cell.place / this.bundle)))}`;
  }
}
