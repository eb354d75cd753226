// How numbers and times read, and what is said of what lies under the pointer.

/** @param {number | null | undefined} value */
function usdText(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "unknown";
  for (const [unit, name] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])) {
    if (Math.abs(value) >= unit) return `${(value / unit).toPrecision(3)}${name}`;
  }
  return value.toPrecision(3);
}

/** A price with the digits that its size asks for. @param {number} price */
function priceText(price) {
  if (price >= 1000) return price.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 2 });
  return String(Number(price.toPrecision(6)));
}

/** @param {number} ms @param {boolean} local */
function timeText(ms, local) {
  const at = new Date(ms);
  if (!local) return at.toISOString().slice(0, 16).replace("T", " ");
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/**
 * @typedef {object} Explained
 * @property {number} time  ms, open of the bar
 * @property {number} price
 * @property {{time: number, open: number, high: number, low: number, close: number} | null} candle
 * @property {Zone[]} zones  that stood then, at that price
 * @property {{low: number, high: number, usd: [number, number | null], unit: string} | null} cell  of the heatmap: USD from, and below (null: no bound)
 * @property {{long_flow_usd: number | null, short_flow_usd: number | null, observed: [number | null, number | null]} | null} flow  observed: of longs and of shorts, as reported
 * @property {{side: "long" | "short", usd: number, share: number} | null} ahead  what lies from the last close to that price
 * @property {RiskPoint | null} risk  of the move from the last close that is nearest to that price
 * @property {Trade[]} trades  open then
 */

/** What is known of a time and a price. @param {Scene} scene @param {Heatmap} heatmap @param {string} timeframe @param {number} time @param {number} price @returns {Explained} */
function explainAt(scene, heatmap, timeframe, time, price) {
  const { candles } = scene;
  const row = rowAt(scene, time);
  const last = candles.time.length - 1;
  const step = last > 0 ? candles.time[last] - candles.time[last - 1] : 60_000;
  const inside = row >= 0 && (row < last || time < candles.time[last] + step);
  const at = inside ? candles.time[row] : time;
  const cell = below(scene.edges, price) - 1;
  const known = cell >= 0 && cell < scene.edges.length - 1;
  const rank = inside && known ? heatmap.rankAt(row, cell) : 0;
  const flowOf = (/** @type {string} */ name) => {
    const value = scene.flow[name]?.[row];
    return value === undefined || Number.isNaN(value) ? null : value;
  };
  return {
    time: at,
    price,
    candle: inside && !scene.skipped.has(row) ? { time: at, open: candles.open[row], high: candles.high[row], low: candles.low[row], close: candles.close[row] } : null,
    zones: (scene.zones[timeframe] ?? []).filter((zone) => zone.birth <= at && (zone.end === null || at < zone.end) && zone.low <= price && price <= zone.high),
    cell: inside && known ? {
      low: scene.edges[cell], high: scene.edges[cell + 1], unit: scene.unit,
      usd: [rank ? scene.breaks[rank - 1] : 0, rank < scene.breaks.length ? scene.breaks[rank] : null],
    } : null,
    flow: inside ? { long_flow_usd: flowOf("long_flow_usd"), short_flow_usd: flowOf("short_flow_usd"), observed: [flowOf("long_observed_usd"), flowOf("short_observed_usd")] } : null,
    ahead: aheadOf(scene, price),
    risk: riskAt(scene, price),
    trades: scene.trades.filter((trade) => trade.entry <= at && at <= trade.exit),
  };
}

/** @param {Scene} scene @param {number} price @returns {RiskPoint | null} within the moves that are known, to half a step */
function riskAt(scene, price) {
  const points = scene.risk?.curve ?? [];
  const step = points.length > 1 ? Math.abs(points[1].price - points[0].price) : 0;
  const near = points.filter((point) => Math.abs(point.price - price) <= step / 2);
  return near[0] ?? null;
}

/** USD of the positions between the last close and a price, and their share of that side. @param {Scene} scene @param {number} price */
function aheadOf(scene, price) {
  const close = scene.candles.close[scene.candles.close.length - 1];
  if (!(close > 0)) return null;
  const under = price <= close;
  let usd = 0;
  let all = 0;
  for (let cell = 0; cell < scene.lastUsd.length; cell++) {
    const middle = Math.sqrt(scene.edges[cell] * scene.edges[cell + 1]);
    if (under !== middle <= close) continue;
    all += scene.lastUsd[cell];
    if (under ? middle >= price : middle <= price) usd += scene.lastUsd[cell];
  }
  return { side: /** @type {"long" | "short"} */ (under ? "long" : "short"), usd, share: all > 0 ? usd / all : 0 };
}

/** @param {Zone} zone @param {boolean} local */
function zoneLines(zone, local) {
  const ended = zone.end === null ? "still standing" : `${zone.reason} ${timeText(zone.end, local)}`;
  const times = (/** @type {number} */ count, /** @type {string} */ word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  return [
    `Zone ${priceText(zone.low)} to ${priceText(zone.high)}, ${zone.kind}: ${zone.side}s were liquidated here`,
    `${usdText(zone.usd)} USD (relative mass) in ${times(zone.events, "event")}, ${zone.source}`,
    `quality ${zone.quality.toFixed(0)} (${zone.label}), ${times(zone.touches, "touch").replace("touchs", "touches")}, held ${zone.holds}`,
    `since ${timeText(zone.birth, local)}, ${ended}`,
  ];
}

/** @param {Explained} found @param {Scene} scene @param {boolean} local @param {Record<string, boolean>} layers */
function linesOf(found, scene, local, layers) {
  const lines = [`${timeText(found.time, local)}${local ? "" : " UTC"}   ${priceText(found.price)}`];
  if (found.candle && layers.candles) {
    const { open, high, low, close } = found.candle;
    lines.push(`open ${priceText(open)}  high ${priceText(high)}  low ${priceText(low)}  close ${priceText(close)}`);
  }
  if (layers.zones) for (const zone of found.zones) lines.push(...zoneLines(zone, local));
  if (found.cell && layers.heatmap && found.cell.usd[0] > 0) {
    const [from, to] = found.cell.usd;
    lines.push(`positions to be liquidated, ${priceText(found.cell.low)} to ${priceText(found.cell.high)}: ${to === null ? `${usdText(from)} or more` : `${usdText(from)} to ${usdText(to)}`} (${found.cell.unit})`);
  }
  if (found.flow && layers.flow) {
    const { long_flow_usd: longs, short_flow_usd: shorts, observed } = found.flow;
    if (longs !== null || shorts !== null) lines.push(`forced flow, estimated: longs ${usdText(longs)}, shorts ${usdText(shorts)} USD of the ledger`);
    if (observed.some((usd) => usd !== null)) lines.push(`observed liquidations: longs ${usdText(observed[0])}, shorts ${usdText(observed[1])} USD as reported`);
  }
  if (!found.candle && found.ahead && layers.levels) {
    lines.push(`from the last close to here: ${usdText(found.ahead.usd)} USD of the ledger of ${found.ahead.side}s, ${(100 * found.ahead.share).toFixed(0)} % of that side of the ledger`);
  }
  if (!found.candle && found.risk && scene.risk && layers.risk) {
    const { move, side, expected_usd: expected, low_usd: low, high_usd: high } = found.risk;
    lines.push(`at risk if price goes ${(100 * move).toFixed(1)} % within ${scene.risk.horizon}: ${usdText(expected)} USD of ${side}s (80 % band ${usdText(low)} to ${usdText(high)}; ${scene.risk.feed}, ${scene.risk.market}, scale: ${scene.risk.source}); it does not say that price gets there`);
  }
  if (layers.entries) {
    for (const trade of found.trades) {
      lines.push(`${trade.size < 0 ? "short" : "long"} from ${priceText(trade.entryPrice)} to ${priceText(trade.exitPrice)}: ${trade.pnl >= 0 ? "+" : ""}${usdText(trade.pnl)} USD`);
    }
  }
  return lines;
}

/** The line that says what is drawn, of which data, until when, and what it is not. @param {Scene} scene @param {boolean} local */
function aboutText(scene, local) {
  const { about, candles } = scene;
  const last = candles.time.length - 1;
  if (last < 0) return "No candles: nothing is drawn.";
  const span = `${(last + 1).toLocaleString("en")} candles, ${timeText(candles.time[0], local)} to ${timeText(candles.time[last], local)}${local ? "" : " UTC"}`;
  const warm = about.bars >= about.memory ? "" : ` Fewer than ${about.memory} candles: zones and levels are those of a short history.`;
  return `${scene.name}: ${span}. Zones, levels and heatmap are an estimate from these candles (Params ${about.digest}), each bar as known at its close. ` +
    `They are neither orders nor positions that a venue reported, and no forecast.${warm}`;
}
