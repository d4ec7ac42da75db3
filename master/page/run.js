// What a page knows of a run. Knows neither the page nor the connection; never grows beyond a bound.

export const MOST_POINTS = 1200;
const MOST_NOTES = 30;
const LATELY_ROUNDS = 10;

// Positions in the rows that the master sends; see master/page_feed.py.
export const PLACE = { place: 0, state: 1, finished: 2, load: 3, inHand: 4, pace: 5, straggled: 6, late: 7 };
export const ROUND = { round: 0, outcome: 1, seconds: 2, deadline: 3, loss: 4, recovered: 5, stragglers: 6, cells: 7 };

export class Run {
  constructor() {
    this.id = "";
    this.forget({}, [], 1, []);
  }

  forget(facts, states, keep, curve) {
    this.facts = facts;
    this.states = states;
    this.keep = keep;
    this.curve = curve;
    this.now = {};
    this.totals = { exact: 0, approximate: 0, failed: 0 };
    this.places = [];
    this.names = [];
    this.lateIn = [];
    this.rounds = [];
    this.notes = [];
  }

  /** Takes in a snapshot or news. Returns whether it is another run than before. */
  hear(told) {
    const before = this.id;
    const whole = told.kind === "snapshot";
    if (whole) {
      this.forget(told.run, told.states, told.keep, told.curve);
      this.id = told.run.id;
    } else if (!this.id) {
      return false;
    }
    this.now = told.now;
    this.totals = told.totals;
    // A new plan may have fewer places.
    if (told.now.n < this.places.length) this.places.length = this.names.length = told.now.n;
    for (const row of told.places) this.hearPlace(row);
    for (const place of Object.keys(told.names)) this.names[Number(place)] = told.names[place];
    for (const row of told.rounds) this.hearRound(row, whole);
    this.notes = this.notes.concat(told.notes).slice(-MOST_NOTES);
    return before !== "" && before !== this.id;
  }

  hearPlace(row) {
    const place = row[PLACE.place];
    const known = this.places[place];
    if (known && row[PLACE.late] > known[PLACE.late]) this.lateIn[place] = this.now.round;
    this.places[place] = row;
  }

  /** Whether a chunk of a place came late in the last rounds. */
  wasLate(place) {
    return this.lateIn[place] !== undefined && this.now.round - this.lateIn[place] <= LATELY_ROUNDS;
  }

  hearRound(row, fromSnapshot) {
    this.rounds.push(row);
    if (this.rounds.length > this.keep) this.rounds.shift();
    if (fromSnapshot || row[ROUND.loss] === null) return;
    this.curve.push([row[ROUND.round], row[ROUND.loss]]);
    if (this.curve.length > MOST_POINTS) this.curve = this.curve.filter((_, index) => index % 2 === 0);
  }

  get finished() {
    return this.totals.exact + this.totals.approximate + this.totals.failed;
  }

  get last() {
    return this.rounds[this.rounds.length - 1] || null;
  }

  name(place) {
    return this.names[place] || "";
  }

  stateOf(row) {
    const state = this.states[row[PLACE.state]] || "";
    return state === "lost" && this.now.phase === "waiting" ? "awaited" : state;
  }

  /** How many workers are in each state, in the order of the states. */
  stateCounts() {
    const counts = new Map();
    for (const row of this.places) {
      if (!row) continue;
      const state = this.stateOf(row);
      counts.set(state, (counts.get(state) || 0) + 1);
    }
    return counts;
  }

  /** Places that straggled, most often first. */
  ranking(most) {
    const slow = this.places.filter((row) => row && row[PLACE.straggled] > 0);
    slow.sort((a, b) => b[PLACE.straggled] - a[PLACE.straggled] || a[PLACE.place] - b[PLACE.place]);
    return slow.slice(0, most);
  }

  ordered(by) {
    const rows = this.places.filter(Boolean);
    const key = { straggled: PLACE.straggled, pace: PLACE.pace, late: PLACE.late }[by];
    if (key === undefined) return rows;
    return rows.sort((a, b) => (b[key] || 0) - (a[key] || 0) || a[PLACE.place] - b[PLACE.place]);
  }
}

/** What a cell of the map says, in words. */
export function cellInWords(cell) {
  if (cell === "x") return "no link";
  if (cell === "s") return "straggler, finished nothing";
  if (cell === undefined || cell === "-") return "finished nothing";
  const slow = cell >= "A";
  const level = slow ? cell.charCodeAt(0) - 65 : Number(cell);
  const pace = `${Number((2 ** ((level - 2) / 2)).toPrecision(2))} times the median`;
  return slow ? `straggler, ${pace}` : pace;
}

export function inSeconds(value) {
  if (value === null || value === undefined) return "-";
  if (value < 0.0995) return `${Number((1000 * value).toPrecision(2))} ms`;
  if (value < 120) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(value / 60);
  return minutes < 120 ? `${minutes} min ${Math.floor(value % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function inDigits(value, digits = 4) {
  return value === null || value === undefined ? "-" : String(Number(value.toPrecision(digits)));
}
