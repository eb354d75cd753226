// A scene as JSON text to typed arrays. docs/charts.md has the schema.

/** @typedef {{type: "int8" | "int32" | "float32" | "float64", data: string}} Packed */
/** @typedef {Int8Array | Int32Array | Float32Array | Float64Array} Numbers */
/**
 * @typedef {object} Zone  A zone from its birth to its end, as it was when it last stood.
 * @property {number} birth  ms
 * @property {number | null} end  ms; null while it stands
 * @property {number} low
 * @property {number} high
 * @property {"long" | "short"} side
 * @property {"support" | "resistance"} kind
 * @property {number} usd
 * @property {number} quality
 * @property {"weak" | "medium" | "strong"} label
 * @property {number} events
 * @property {number} touches
 * @property {number} holds
 * @property {"estimated" | "mixed" | "observed"} source
 * @property {"broken" | "expired" | "merged" | null} reason
 */
/** @typedef {{start: Int32Array, length: Int32Array, cell: Int32Array, rank: Int8Array}} Runs  in order of start */
/** @typedef {{side: "long" | "short", price: number, usd: number, share: number, kind: string}} Level */
/** @typedef {{move: number, price: number, side: "long" | "short", expected_usd: number, low_usd: number, high_usd: number}} RiskPoint */
/** @typedef {{curve: RiskPoint[], horizon: string, feed: string, market: string, source: string}} Risk  USD that are liquidated if price goes there */
/** @typedef {{name: string, time: Float64Array, value: Float32Array}} Account */
/**
 * @typedef {object} Trade
 * @property {number} entry  ms
 * @property {number} exit  ms
 * @property {number} entryPrice
 * @property {number} exitPrice
 * @property {number} size  below 0 is short
 * @property {number} pnl
 */
/**
 * @typedef {object} Candles  Of one timeframe. `first` has the row of its first base bar for each, and one more.
 * @property {Float64Array} time
 * @property {Float64Array} open
 * @property {Float64Array} high
 * @property {Float64Array} low
 * @property {Float64Array} close
 * @property {Int32Array} first
 */
/**
 * @typedef {object} Scene
 * @property {string} name
 * @property {any} about  what the JSON says of the data and of the parameters
 * @property {Candles} candles
 * @property {Set<number>} skipped  rows without usable prices
 * @property {Record<string, Float32Array>} flow  long_flow_usd, short_flow_usd; long_observed_usd, ... where known
 * @property {Int8Array} fades
 * @property {Record<string, Zone[]>} zones  by timeframe; "" is that of the candles
 * @property {Record<string, Runs>} tiers
 * @property {number[]} breaks
 * @property {string} unit
 * @property {Float64Array} edges
 * @property {Float64Array} lastUsd  of the cells, at the last bar
 * @property {Level[]} levels
 * @property {[number | null, number | null]} reach
 * @property {Risk | null} risk
 * @property {Trade[]} trades
 * @property {Account[]} accounts
 * @property {Record<string, string> | null} colors  of zones, by quality
 */

const TYPES = { int8: Int8Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

/** @param {Packed} packed @returns {Promise<any>} the typed array */
async function unpack(packed) {
  const zipped = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const kind = TYPES[packed.type];
  const width = kind.BYTES_PER_ELEMENT;
  const length = planes.length / width;
  if (width === 1) return new Int8Array(planes.buffer);
  const bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < width; plane++) {
    for (let i = 0, at = plane, from = plane * length; i < length; i++, at += width) bytes[at] = planes[from + i];
  }
  return new kind(bytes.buffer);
}

/** @param {Record<string, any>} mapping @returns {Promise<Record<string, any>>} with what is packed unpacked */
async function unpackAll(mapping) {
  const entries = Object.entries(mapping).map(async ([name, value]) =>
    [name, value && value.data !== undefined ? await unpack(value) : value]);
  return Object.fromEntries(await Promise.all(entries));
}

/** @param {any} packed @param {number} length */
async function timesOf(packed, length) {
  if (packed.all) return unpack(packed.all);
  return Float64Array.from({ length }, (_, row) => packed.first + row * packed.step);
}

/** Prices exactly as they were: whole ticks over a power of ten, or the numbers themselves. @param {any} packed */
async function pricesOf(packed) {
  const { decimals, open, high, low, close } = await unpackAll(packed);
  if (decimals === null) return { open, high, low, close };
  const unit = 10 ** decimals;
  const length = open.length;
  const out = { open: new Float64Array(length), high: new Float64Array(length), low: new Float64Array(length), close: new Float64Array(length) };
  for (let i = 0, before = 0; i < length; i++) {
    const first = before + open[i];
    const last = first + close[i];
    out.open[i] = first / unit;
    out.close[i] = last / unit;
    out.high[i] = (Math.max(first, last) + high[i]) / unit;
    out.low[i] = (Math.min(first, last) - low[i]) / unit;
    before = last;
  }
  return out;
}

/** @param {any} packed @returns {Promise<Zone[]>} */
async function zonesOf(packed) {
  const columns = await unpackAll(packed);
  return Array.from(columns.birth, (birth, i) => ({
    birth,
    end: columns.end[i] < 0 ? null : columns.end[i],
    low: columns.low[i],
    high: columns.high[i],
    side: /** @type {const} */ (["long", "short"])[columns.side[i]],
    kind: /** @type {const} */ (["support", "resistance"])[columns.above[i]],
    usd: columns.usd[i],
    quality: columns.quality[i],
    label: columns.quality[i] < 40 ? "weak" : columns.quality[i] < 70 ? "medium" : "strong",
    events: columns.marks[i],
    touches: columns.touches[i],
    holds: columns.holds[i],
    source: columns.observed[i] === 0 ? "estimated" : columns.observed[i] === columns.marks[i] ? "observed" : "mixed",
    reason: /** @type {const} */ ([null, "broken", "expired", "merged"])[columns.reason[i]],
  }));
}

/** @param {any} packed @returns {Promise<Runs>} */
async function runsOf(packed) {
  const runs = /** @type {Runs} */ (await unpackAll(packed));
  for (let i = 1; i < runs.start.length; i++) runs.start[i] += runs.start[i - 1];
  return runs;
}

/** @template T @param {Record<string, any>} mapping @param {(value: any) => Promise<T>} read @returns {Promise<Record<string, T>>} */
async function each(mapping, read) {
  return Object.fromEntries(await Promise.all(Object.entries(mapping).map(async ([name, value]) => [name, await read(value)])));
}

/** @param {any} plain  what JSON.parse gave @returns {Promise<Scene>} */
async function readScene(plain) {
  const [time, prices, skipped, flow, fades, zones, tiers, edges, lastUsd, accounts] = await Promise.all([
    timesOf(plain.time, plain.bars), pricesOf(plain.candles), unpack(plain.skipped), unpackAll(plain.flow), unpack(plain.fades), each(plain.zones, zonesOf),
    each(plain.heatmap.tiers, runsOf), unpack(plain.heatmap.edges), unpack(plain.heatmap.last), Promise.all(plain.accounts.map(unpackAll)),
  ]);
  const first = Int32Array.from({ length: plain.bars + 1 }, (_, row) => row);
  return {
    name: plain.name,
    about: plain,
    candles: { time, ...prices, first },
    skipped: new Set(skipped),
    flow, fades, zones, tiers, edges, lastUsd,
    breaks: plain.heatmap.breaks,
    unit: plain.heatmap.unit,
    levels: plain.levels,
    reach: plain.reach,
    risk: plain.risk,
    trades: plain.trades.map(([entry, exit, entryPrice, exitPrice, size, pnl]) => ({ entry, exit, entryPrice, exitPrice, size, pnl })),
    accounts: /** @type {Account[]} */ (accounts),
    colors: plain.colors ?? null,
  };
}

/** How many of an ascending array are below a value. @param {ArrayLike<number>} sorted @param {number} value */
function below(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The row of the bar that a time lies in: the last that opened until then; -1 before the first. @param {Scene} scene @param {number} time */
function rowAt(scene, time) {
  return below(scene.candles.time, time + 0.5) - 1;
}

const UNIT_MS = /** @type {Record<string, number>} */ ({ m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 });
const MONDAY = 4 * 86_400_000;

/** Candles of a larger timeframe, partial ones too. @param {Candles} base @param {string} timeframe @returns {Candles} */
function candlesOf(base, timeframe) {
  if (timeframe === "") return base;
  const length = parseInt(timeframe, 10) * UNIT_MS[timeframe.slice(-1)];
  const anchor = timeframe.endsWith("w") ? MONDAY : 0;
  const starts = [];
  const firsts = [];
  for (let row = 0; row < base.time.length; row++) {
    const start = Math.floor((base.time[row] - anchor) / length) * length + anchor;
    if (start !== starts[starts.length - 1]) {
      starts.push(start);
      firsts.push(row);
    }
  }
  const count = starts.length;
  const first = Int32Array.from([...firsts, base.time.length]);
  const made = { time: Float64Array.from(starts), open: new Float64Array(count), high: new Float64Array(count), low: new Float64Array(count), close: new Float64Array(count), first };
  for (let i = 0; i < count; i++) {
    made.open[i] = base.open[first[i]];
    made.close[i] = base.close[first[i + 1] - 1];
    made.high[i] = base.high[first[i]];
    made.low[i] = base.low[first[i]];
    for (let row = first[i]; row < first[i + 1]; row++) {
      made.high[i] = Math.max(made.high[i], base.high[row]);
      made.low[i] = Math.min(made.low[i], base.low[row]);
    }
  }
  return made;
}
