// What is drawn over the candles: heatmap, zones, entries, and the profile of the levels ahead.

/**
 * @typedef {object} Look  The colours of a theme.
 * @property {string} back
 * @property {string} text
 * @property {string} dim
 * @property {string} grid
 * @property {string} rising
 * @property {string} falling
 * @property {string[]} heat
 */

const SUPPORT = "#0072B2";
const RESISTANCE = "#E69F00";
const PROFILE_WIDTH = 130;
const LABEL_HEIGHT = 14;

/** @type {Record<"dark" | "light", Look>} */
const LOOKS = {
  dark: { back: "#0e1116", text: "#d6dae0", dim: "#8d96a3", grid: "#171c24", rising: "#e8eaed", falling: "#7d8794",
    heat: ["#1c1730", "#2a1d47", "#412763", "#663181", "#9a4094", "#e27bb0"] },
  light: { back: "#ffffff", text: "#1b1f24", dim: "#5b6470", grid: "#eef1f4", rising: "#8b939d", falling: "#23272d",
    heat: ["#f4eef8", "#e6d8f0", "#d0b5e2", "#b184cf", "#8b4fb3", "#5d2187"] },
};

/** @param {string} colour  #rrggbb @param {number} opacity */
function faded(colour, opacity) {
  const part = (/** @type {number} */ at) => parseInt(colour.slice(at, at + 2), 16);
  return `rgba(${part(1)}, ${part(3)}, ${part(5)}, ${opacity})`;
}

/** @param {Zone} zone @param {Scene} scene */
function colourOf(zone, scene) {
  return scene.colors?.[zone.label] ?? (zone.kind === "support" ? SUPPORT : RESISTANCE);
}

/**
 * @typedef {object} View  Where rows and prices lie on the canvas, in its pixels.
 * @property {number} first  row
 * @property {number} last  row
 * @property {number} width
 * @property {number} height
 * @property {number} ratio
 * @property {number} pixelsARow
 * @property {(row: number) => number} x  the left edge of a row
 * @property {(price: number) => number} price
 * @property {(edge: number) => number} y  of a cell's edge
 */

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Zone[]} zones @param {Scene} scene */
function paintZones(context, view, zones, scene) {
  const rows = scene.candles.time.length;
  context.lineWidth = view.ratio;
  for (const zone of zones) {
    const start = below(scene.candles.time, zone.birth);
    const end = zone.end === null ? rows : below(scene.candles.time, zone.end);
    if (end <= view.first || start >= view.last) continue;
    const left = view.x(start);
    const right = zone.end === null ? view.width : view.x(end);
    if (right - left < 2) continue;
    const top = view.price(zone.high);
    const height = Math.max(1, view.price(zone.low) - top);
    if (top > view.height || top + height < 0) continue;
    const colour = colourOf(zone, scene);
    context.fillStyle = faded(colour, zone.label === "weak" ? 0.14 : zone.label === "medium" ? 0.3 : 0.5);
    context.fillRect(left, top, right - left, height);
    context.strokeStyle = faded(colour, zone.label === "weak" ? 0.7 : 1);
    context.strokeRect(left + 0.5, top + 0.5, right - left, height);
    if (zone.end !== null && right - left > 8) paintEnd(context, zone, right, top, height, view.ratio, colour);
  }
}

/** Broken: a thick edge. Merged: an arrow to what took it in. Expired: no more than the end. @param {CanvasRenderingContext2D} context @param {Zone} zone @param {number} x @param {number} top @param {number} height @param {number} ratio @param {string} colour */
function paintEnd(context, zone, x, top, height, ratio, colour) {
  context.fillStyle = colour;
  if (zone.reason === "broken") context.fillRect(x - 1.5 * ratio, top - 2 * ratio, 3 * ratio, height + 4 * ratio);
  if (zone.reason === "merged") {
    const size = Math.min(5 * ratio, Math.max(3, height / 2));
    context.beginPath();
    context.moveTo(x, top + height / 2 - size);
    context.lineTo(x + size, top + height / 2);
    context.lineTo(x, top + height / 2 + size);
    context.fill();
  }
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Scene} scene @param {Look} look */
function paintEntries(context, view, scene, look) {
  const size = Math.min(6, Math.max(2.5, view.pixelsARow)) * view.ratio;
  if (view.pixelsARow > 0.7) {
    for (let row = Math.max(0, view.first); row < Math.min(view.last, scene.fades.length); row++) {
      const way = scene.fades[row];
      if (way === 0) continue;
      const x = (view.x(row) + view.x(row + 1)) / 2;
      const y = view.price(way > 0 ? scene.candles.low[row] : scene.candles.high[row]) + way * 5 * view.ratio;
      context.fillStyle = way > 0 ? SUPPORT : RESISTANCE;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x - size, y + way * 1.6 * size);
      context.lineTo(x + size, y + way * 1.6 * size);
      context.fill();
    }
  }
  context.lineWidth = 1.5 * view.ratio;
  context.strokeStyle = look.text;
  for (const trade of scene.trades) {
    const from = rowAt(scene, trade.entry);
    const to = rowAt(scene, trade.exit);
    if (to < view.first || from >= view.last) continue;
    const left = (view.x(from) + view.x(from + 1)) / 2;
    const right = (view.x(to) + view.x(to + 1)) / 2;
    if (right - left < 1) continue;
    context.setLineDash(trade.pnl >= 0 ? [] : [3 * view.ratio, 3 * view.ratio]);
    context.beginPath();
    context.moveTo(left, view.price(trade.entryPrice));
    context.lineTo(right, view.price(trade.exitPrice));
    context.stroke();
  }
  context.setLineDash([]);
}

/** The last bar's cells as bars from the right edge, faint beyond the reach of levels. @param {CanvasRenderingContext2D} context @param {View} view @param {Scene} scene @param {Look} look */
function paintProfile(context, view, scene, look) {
  const close = scene.candles.close[scene.candles.close.length - 1];
  let most = 0;
  for (const usd of scene.lastUsd) most = Math.max(most, usd);
  if (!(most > 0)) return;
  const width = Math.min(PROFILE_WIDTH * view.ratio, 0.25 * view.width);
  const [low, high] = scene.reach;
  for (let cell = 0; cell < scene.lastUsd.length; cell++) {
    if (scene.lastUsd[cell] === 0) continue;
    const top = view.y(cell + 1);
    const bottom = view.y(cell);
    if (bottom < 0 || top > view.height) continue;
    const middle = Math.sqrt(scene.edges[cell] * scene.edges[cell + 1]);
    const far = (low !== null && middle < low) || (high !== null && middle > high);
    context.fillStyle = faded(middle <= close ? SUPPORT : RESISTANCE, far ? 0.3 : 0.85);
    const length = (width * scene.lastUsd[cell]) / most;
    context.fillRect(view.width - length, top, length, Math.max(1, bottom - top - 1));
  }
  context.fillStyle = look.dim;
  for (const level of scene.levels) {
    if ((low !== null && level.price < low) || (high !== null && level.price > high)) continue;
    const y = view.price(level.price);
    if (y > 0 && y < view.height) context.fillRect(view.width - width - 6 * view.ratio, y, 5 * view.ratio, view.ratio);
  }
}

/** Liquidation at risk by price: a line and its band from the right edge, on a scale of their own. @param {CanvasRenderingContext2D} context @param {View} view @param {Scene} scene @param {Look} look */
function paintRisk(context, view, scene, look) {
  if (!scene.risk) return;
  const { curve, horizon } = scene.risk;
  const most = Math.max(...curve.map((point) => point.high_usd));
  const width = Math.min(PROFILE_WIDTH * view.ratio, 0.25 * view.width);
  const at = (/** @type {number} */ usd) => view.width - (width * usd) / most;
  for (const side of ["long", "short"]) {
    const points = curve.filter((point) => point.side === side);
    if (points.length < 2) continue;
    context.beginPath();
    for (const point of points) context.lineTo(at(point.low_usd), view.price(point.price));
    for (const point of points.slice().reverse()) context.lineTo(at(point.high_usd), view.price(point.price));
    context.fillStyle = faded(look.text, 0.16);
    context.fill();
    context.beginPath();
    for (const point of points) context.lineTo(at(point.expected_usd), view.price(point.price));
    context.strokeStyle = look.text;
    context.lineWidth = 1.5 * view.ratio;
    context.stroke();
  }
  const highest = curve[curve.length - 1];
  context.font = `${10 * view.ratio}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.fillStyle = look.text;
  context.fillText(`at risk, ${horizon}: ${usdText(highest.expected_usd)}`, view.width - 4 * view.ratio, view.price(highest.price) - 8 * view.ratio);
}

/** What stands and the nearest levels, named beside the profile; of two that would overlap the stronger. @param {CanvasRenderingContext2D} context @param {View} view @param {Zone[]} zones @param {Scene} scene @param {Look} look @param {Record<string, boolean>} layers */
function paintLabels(context, view, zones, scene, look, layers) {
  /** @type {{y: number, text: string, colour: string, weight: number}[]} */
  const wanted = [];
  if (layers.zones) {
    for (const zone of zones) {
      if (zone.end !== null) continue;
      const text = `${zone.label} ${zone.quality.toFixed(0)} · ${usdText(zone.usd)}`;
      wanted.push({ y: view.price((zone.low + zone.high) / 2), text, colour: colourOf(zone, scene), weight: zone.quality });
    }
  }
  if (layers.levels) {
    const nearest = [scene.levels.filter((level) => level.side === "long").pop(), scene.levels.find((level) => level.side === "short")];
    for (const level of nearest) {
      if (level) wanted.push({ y: view.price(level.price), text: `${level.side}s ${usdText(level.usd)}`, colour: level.side === "long" ? SUPPORT : RESISTANCE, weight: 50 });
    }
  }
  const room = LABEL_HEIGHT * view.ratio;
  /** @type {typeof wanted} */
  const kept = [];
  for (const label of wanted.sort((a, b) => b.weight - a.weight)) {
    if (label.y > room && label.y < view.height - room && kept.every((other) => Math.abs(other.y - label.y) >= room)) kept.push(label);
  }
  const right = view.width - (layers.levels ? Math.min(PROFILE_WIDTH * view.ratio, 0.25 * view.width) + 10 * view.ratio : 6 * view.ratio);
  context.font = `${11 * view.ratio}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { y, text, colour } of kept) {
    const width = context.measureText(text).width;
    context.fillStyle = faded(look.back, 0.8);
    context.fillRect(right - width - 4 * view.ratio, y - room / 2 + 1, width + 8 * view.ratio, room - 2);
    context.fillStyle = colour;
    context.fillRect(right + 2 * view.ratio, y - room / 2 + 1, 2 * view.ratio, room - 2);
    context.fillStyle = look.text;
    context.fillText(text, right - 1 * view.ratio, y);
  }
}
