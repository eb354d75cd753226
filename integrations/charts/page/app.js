// The page: the chart, its controls, and window.liquidator.

const COUNT_AT_FIRST = 500;
const ROOM_RIGHT = 0.12; // of the bars in view, for what lies ahead

class Page {
  /** @param {Scene} scene */
  constructor(scene) {
    this.scene = scene;
    this.timeframe = "";
    this.candles = scene.candles;
    this.local = false;
    this.layers = { candles: true, heatmap: true, zones: true, levels: true, flow: true, entries: true, account: true, risk: true };
    this.threshold = 1;
    this.theme = /** @type {"dark" | "light"} */ (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
    this.place = element("chart");
    const rows = scene.candles.time.length;
    /** @type {Record<string, Heatmap>} */
    this.heatmaps = Object.fromEntries(Object.entries(scene.tiers).map(([name, runs]) => [name, new Heatmap(runs, rows, scene.breaks.length)]));
    this.tier = "all";
    this.chart = newChart(this.place, () => this.local);
    this.series = addCandles(this.chart);
    this.flows = addFlows(this.chart);
    this.observed = addObserved(this.chart, scene);
    this.accounts = addAccounts(this.chart, scene);
    /** Where the left edge of each base row lies, in candles. */
    this.edges = edgesOf(scene.candles, rows);
    /** Bars to show that were asked for and not drawn yet. @type {{ from: number, to: number } | undefined} */
    this.asked = undefined;
    /** @type {(() => void) | undefined} */
    this.redraw = undefined;
    this.attach();
    this.setCandles();
    this.setTheme(this.theme);
    this.show(COUNT_AT_FIRST);
  }

  get look() {
    return LOOKS[this.theme];
  }

  get heatmap() {
    return this.heatmaps[this.tier];
  }

  /** Have the layers drawn behind and before the candles. */
  attach() {
    this.chart.panes().forEach((pane, i) => pane.setStretchFactor([6, 1, 1.4][i]));
    const behind = { zOrder: () => "bottom", renderer: () => ({ draw: () => {}, drawBackground: (/** @type {any} */ target) => this.paint(target, true) }) };
    const before = { zOrder: () => "top", renderer: () => ({ draw: (/** @type {any} */ target) => this.paint(target, false) }) };
    const primitive = { updateAllViews: () => {}, paneViews: () => [behind, before], attached: (/** @type {any} */ it) => (this.redraw = it.requestUpdate) };
    this.series.attachPrimitive(/** @type {any} */ (primitive));
    this.chart.subscribeCrosshairMove((param) => this.hover(param));
  }

  /** Data of the chosen timeframe into the series. */
  setCandles() {
    const { time, open, high, low, close, first } = this.candles;
    const count = time.length;
    const at = (/** @type {number} */ i) => /** @type {any} */ (time[i] / 1000);
    const gaps = this.timeframe === "" ? this.scene.skipped : new Set();
    this.series.setData(Array.from({ length: count }, (_, i) =>
      gaps.has(i) ? { time: at(i) } : { time: at(i), open: open[i], high: high[i], low: low[i], close: close[i] }));
    const sums = (/** @type {Float32Array | undefined} */ values, /** @type {number} */ sign) => Array.from({ length: count }, (_, i) => {
      let sum = NaN;
      for (let row = first[i]; values && row < first[i + 1]; row++) if (values[row] >= 0) sum = (sum >= 0 ? sum : 0) + values[row];
      return sum > 0 ? { time: at(i), value: sign * sum } : { time: at(i) };
    });
    for (const [side, sign] of /** @type {["long" | "short", number][]} */ ([["long", -1], ["short", 1]])) {
      this.flows[side].setData(/** @type {any} */ (sums(this.scene.flow[`${side}_flow_usd`], sign)));
      this.observed[side]?.setData(sums(this.scene.flow[`${side}_observed_usd`], sign));
    }
    this.accounts.forEach((series, k) => {
      const account = this.scene.accounts[k];
      /** @type {Map<number, number>} */
      const values = new Map();
      account.time.forEach((ms, i) => values.set(time[below(time, ms + 0.5) - 1] / 1000, account.value[i]));
      series.setData([...values].map(([seconds, value]) => ({ time: /** @type {any} */ (seconds), value })));
    });
    this.edges = edgesOf(this.candles, this.scene.candles.time.length);
  }

  /** @param {any} target @param {boolean} behind */
  paint(target, behind) {
    target.useBitmapCoordinateSpace((/** @type {any} */ space) => {
      const view = this.view(space);
      if (!view) return;
      const { context } = space;
      const zones = this.scene.zones[this.timeframe] ?? [];
      if (behind) {
        if (this.layers.heatmap && this.heatmap) this.heatmap.paint(context, view, this.look.heat, this.threshold);
        if (this.layers.zones) paintZones(context, view, zones, this.scene);
        return;
      }
      if (this.layers.entries) paintEntries(context, view, this.scene, this.look);
      if (this.layers.levels) paintProfile(context, view, this.scene, this.look);
      if (this.layers.risk) paintRisk(context, view, this.scene, this.look);
      paintLabels(context, view, zones, this.scene, this.look, this.layers);
    });
  }

  /** @param {any} space @returns {View | null} */
  view(space) {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const zero = scale.logicalToCoordinate(/** @type {any} */ (0));
    const far = scale.logicalToCoordinate(/** @type {any} */ (1000));
    if (!range || zero === null || far === null || this.edges.length < 2) return null;
    const { horizontalPixelRatio: across, verticalPixelRatio: down, bitmapSize } = space;
    const spacing = (far - zero) / 1000;
    const edges = this.edges;
    const rows = edges.length - 1;
    const lowest = this.series.priceToCoordinate(this.scene.candles.low[0]);
    if (lowest === null) return null;
    const price = (/** @type {number} */ value) => Math.round((this.series.priceToCoordinate(value) ?? 0) * down);
    const known = new Float32Array(this.scene.edges.length).fill(NaN);
    return {
      first: Math.max(0, below(edges, range.from) - 1),
      last: Math.min(rows, below(edges, range.to) + 1),
      width: bitmapSize.width,
      height: bitmapSize.height,
      ratio: down,
      pixelsARow: (spacing * across * (edges[rows] - edges[0])) / rows,
      x: (row) => Math.round((zero + edges[Math.min(row, rows)] * spacing) * across),
      price,
      y: (edge) => {
        const at = Math.min(edge, known.length - 1);
        if (Number.isNaN(known[at])) known[at] = price(this.scene.edges[at]);
        return known[at];
      },
    };
  }

  /** @param {any} param */
  hover(param) {
    const box = element("hover");
    const price = param.point && param.paneIndex === 0 ? this.series.coordinateToPrice(param.point.y) : null;
    if (!param.point || param.logical === undefined || this.candles.time.length === 0) {
      box.hidden = true;
      return;
    }
    const last = this.scene.candles.time.length - 1;
    const beyond = param.logical > this.candles.time.length - 0.5;
    const row = Math.max(0, Math.min(last, below(this.edges, param.logical + 1e-9) - 1));
    const time = beyond ? this.scene.candles.time[last] + 366 * 86_400_000 : this.scene.candles.time[row];
    const found = this.explain(time, price ?? this.scene.candles.close[row]);
    if (beyond) found.time = this.scene.candles.time[last];
    box.textContent = linesOf(found, this.scene, this.local, this.layers).join("\n");
    box.hidden = false;
    const { clientWidth: width, clientHeight: height } = this.place;
    const toLeft = param.point.x > width / 2;
    box.style.left = toLeft ? "" : `${param.point.x + 18}px`;
    box.style.right = toLeft ? `${this.place.parentElement ? this.place.parentElement.clientWidth - param.point.x + 18 : 0}px` : "";
    box.style.top = `${Math.min(param.point.y + 14, Math.max(0, height - box.offsetHeight - 8))}px`;
  }

  /** @param {number} time @param {number} price */
  explain(time, price) {
    return explainAt(this.scene, this.heatmap, this.timeframe, time, price);
  }

  /** Numbers of the bars in view. The chart says what it drew last: a second key within a frame goes on from the first. */
  get bars() {
    return this.asked ?? this.chart.timeScale().getVisibleLogicalRange();
  }

  /** @param {number} from @param {number} to */
  setBars(from, to) {
    this.chart.timeScale().setVisibleLogicalRange({ from, to });
    if (!this.asked) requestAnimationFrame(() => (this.asked = undefined));
    this.asked = { from, to };
  }

  /** Opens of the first and the last bar in view, in ms. @returns {[number, number] | null} */
  range() {
    const range = this.bars;
    const { time } = this.candles;
    if (!range || time.length === 0) return null;
    const inside = (/** @type {number} */ at) => time[Math.max(0, Math.min(time.length - 1, at))];
    return [inside(Math.ceil(range.from)), inside(Math.floor(range.to))];
  }

  /** The last so many candles of the timeframe, or all. @param {number} count */
  show(count) {
    const all = this.candles.time.length;
    const shown = Math.min(count, all);
    this.setBars(all - shown - 0.5, all - 0.5 + Math.max(3, ROOM_RIGHT * shown));
  }

  /** @param {"dark" | "light"} theme */
  setTheme(theme) {
    this.theme = theme;
    document.documentElement.dataset.theme = theme;
    const look = this.look;
    this.chart.applyOptions({
      layout: { background: { color: look.back }, textColor: look.dim },
      grid: { vertLines: { color: look.grid }, horzLines: { color: look.grid } },
    });
    this.setCandleColours();
    for (const series of Object.values(this.observed)) series.applyOptions({ color: look.text });
    showLegend(element("legend"), this);
  }

  setCandleColours() {
    const up = this.layers.candles ? this.look.rising : "rgba(0, 0, 0, 0)";
    const down = this.layers.candles ? this.look.falling : "rgba(0, 0, 0, 0)";
    this.series.applyOptions({ upColor: up, wickUpColor: up, downColor: down, wickDownColor: down, priceLineVisible: this.layers.candles, priceLineColor: this.look.dim });
  }

  /** @param {keyof Page["layers"]} name @param {boolean} on */
  setLayer(name, on) {
    this.layers[name] = on;
    this.setCandleColours();
    for (const series of [...Object.values(this.flows), ...Object.values(this.observed)]) series.applyOptions({ visible: this.layers.flow });
    for (const series of this.accounts) series.applyOptions({ visible: this.layers.account });
    const panes = this.chart.panes();
    panes[1]?.setStretchFactor(this.layers.flow ? 1 : 0.05);
    panes[2]?.setStretchFactor(this.layers.account ? 1.4 : 0.05);
    showLegend(element("legend"), this);
    this.redraw?.();
  }

  /** The same span of time in candles of another length. @param {string} timeframe */
  setTimeframe(timeframe) {
    const range = this.range();
    this.timeframe = timeframe;
    this.candles = candlesOf(this.scene.candles, timeframe);
    this.setCandles();
    if (range) {
      const from = below(this.candles.time, range[0] + 0.5) - 1;
      const to = below(this.candles.time, range[1] + 0.5) - 1;
      const room = range[1] >= this.scene.candles.time[this.scene.candles.time.length - 1] ? Math.max(3, ROOM_RIGHT * (to - from)) : 0;
      this.setBars(Math.max(-0.5, from - 0.5), to + 0.5 + room);
    }
    showTables(element("table"), this.scene, timeframe);
  }

  /** @param {string} tier */
  setTier(tier) {
    this.tier = tier;
    this.redraw?.();
  }

  /** Move by a share of the bars in view, and change how many these are. @param {number} share @param {number} times */
  move(share, times) {
    const range = this.bars;
    if (!range) return;
    const width = range.to - range.from;
    const middle = (range.from + range.to) / 2 + share * width;
    this.setBars(middle - (width * times) / 2, middle + (width * times) / 2);
  }
}

/** @typedef {import("lightweight-charts").IChartApi} Chart */

const USD_SCALE = { priceFormat: { type: /** @type {"custom"} */ ("custom"), formatter: usdText, minMove: 1e-9 }, priceLineVisible: false, lastValueVisible: false };

/** @param {HTMLElement} place @param {() => boolean} isLocal @returns {Chart} */
function newChart(place, isLocal) {
  return LightweightCharts.createChart(place, {
    autoSize: true,
    layout: { panes: { separatorColor: "#8884", enableResize: true }, attributionLogo: true },
    crosshair: { mode: 0 },
    timeScale: { timeVisible: true, minBarSpacing: 0.003, enableConflation: true, conflationThresholdFactor: 1 },
    rightPriceScale: { borderVisible: false },
    localization: { timeFormatter: (/** @type {any} */ seconds) => timeText(seconds * 1000, isLocal()) },
    kineticScroll: { touch: true, mouse: false },
  });
}

/** @param {Chart} chart */
function addCandles(chart) {
  return chart.addSeries(LightweightCharts.CandlestickSeries, { borderVisible: false, priceFormat: { type: "custom", formatter: priceText, minMove: 1e-12 } });
}

/** @param {Chart} chart */
function addFlows(chart) {
  const { HistogramSeries } = LightweightCharts;
  return {
    long: chart.addSeries(HistogramSeries, { color: SUPPORT, ...USD_SCALE }, 1),
    short: chart.addSeries(HistogramSeries, { color: RESISTANCE, ...USD_SCALE }, 1),
  };
}

/** Points where a feed observed liquidations. @param {Chart} chart @param {Scene} scene */
function addObserved(chart, scene) {
  /** @type {Record<string, import("lightweight-charts").ISeriesApi<"Line">>} */
  const found = {};
  for (const side of ["long", "short"]) {
    if (scene.flow[`${side}_observed_usd`]) {
      found[side] = chart.addSeries(LightweightCharts.LineSeries, { lineVisible: false, pointMarkersVisible: true, pointMarkersRadius: 2, ...USD_SCALE }, 1);
    }
  }
  return found;
}

/** @param {Chart} chart @param {Scene} scene */
function addAccounts(chart, scene) {
  return scene.accounts.map(({ name }) => {
    const main = name === "backtest";
    const named = main || name === "buy and hold";
    return chart.addSeries(LightweightCharts.LineSeries, {
      color: main ? "#009E73" : "#8d96a3", lineWidth: main ? 2 : 1, lineStyle: main || !named ? 0 : 1,
      title: named ? name : "", priceLineVisible: false, lastValueVisible: main,
    }, 2);
  });
}

/** @param {Candles} candles @param {number} rows  of the base @returns {Float64Array} in candles; one more than the rows */
function edgesOf(candles, rows) {
  const edges = new Float64Array(rows + 1);
  const { first } = candles;
  for (let i = 0; i + 1 < first.length; i++) {
    for (let row = first[i]; row <= first[i + 1]; row++) edges[row] = i - 0.5 + (row - first[i]) / (first[i + 1] - first[i]);
  }
  return edges;
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {HTMLElement} place @param {Page} page */
function showLegend(place, page) {
  const { breaks, unit } = page.scene;
  place.hidden = !page.layers.heatmap;
  const parts = breaks.map((from, i) => {
    const part = document.createElement("span");
    const colour = document.createElement("i");
    colour.style.background = page.look.heat[i];
    part.append(colour, `${i + 1 < page.threshold ? "hidden " : ""}from ${usdText(from)}`);
    return part;
  });
  const words = document.createElement("span");
  words.textContent = `a cell, ${unit}`;
  place.replaceChildren(...parts, words);
}

/** @param {Page} page */
function connect(page) {
  const { scene } = page;
  const timeframe = /** @type {HTMLSelectElement} */ (element("timeframe"));
  for (const name of Object.keys(scene.zones)) timeframe.add(new Option(name || "of the file", name));
  timeframe.addEventListener("change", () => page.setTimeframe(timeframe.value));
  for (const button of document.querySelectorAll("[data-bars]")) {
    button.addEventListener("click", () => page.show(Number(/** @type {HTMLElement} */ (button).dataset.bars) || Infinity));
  }
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("[data-layer]"))) {
    box.addEventListener("change", () => page.setLayer(/** @type {any} */ (box.dataset.layer), box.checked));
  }
  const tiers = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("[data-tier]")]);
  element("risk").hidden = !scene.risk;
  element("tiers").hidden = !(scene.tiers.high && scene.tiers.low);
  for (const box of tiers) {
    box.addEventListener("change", () => {
      const kept = tiers.filter((other) => other.checked).map((other) => other.dataset.tier);
      page.setTier(kept.length === 2 ? "all" : kept[0] ?? "none");
    });
  }
  const threshold = /** @type {HTMLInputElement} */ (element("threshold"));
  threshold.max = String(scene.breaks.length);
  const setThreshold = () => {
    page.threshold = Number(threshold.value);
    element("threshold-text").textContent = usdText(scene.breaks[page.threshold - 1]);
    showLegend(element("legend"), page);
    page.redraw?.();
  };
  threshold.addEventListener("input", setThreshold);
  setThreshold();
  const theme = element("theme");
  const nameTheme = () => {
    theme.textContent = page.theme === "dark" ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(page.theme === "light"));
  };
  const setTheme = (/** @type {"dark" | "light"} */ chosen) => {
    page.setTheme(chosen);
    nameTheme();
  };
  theme.addEventListener("click", () => setTheme(page.theme === "dark" ? "light" : "dark"));
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", (event) => setTheme(event.matches ? "light" : "dark"));
  nameTheme();
  const clock = element("zone-of-time");
  clock.addEventListener("click", () => {
    page.local = !page.local;
    clock.textContent = page.local ? "Local time" : "UTC";
    clock.setAttribute("aria-pressed", String(page.local));
    page.chart.applyOptions({ timeScale: { tickMarkFormatter: page.local ? localTick : undefined } });
    element("about").firstChild?.replaceWith(aboutText(scene, page.local));
  });
  const table = element("table");
  const tableButton = element("table-button");
  const openTable = (/** @type {boolean} */ open) => {
    table.hidden = !open;
    tableButton.setAttribute("aria-expanded", String(open));
  };
  tableButton.addEventListener("click", () => openTable(table.hidden));
  showTables(table, scene, "");
  element("about").replaceChildren(aboutText(scene, page.local), attribution());
  page.place.addEventListener("keydown", (event) => {
    const keys = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => page.move(-0.1, 1), ArrowRight: () => page.move(0.1, 1),
      ArrowUp: () => page.move(0, 0.8), ArrowDown: () => page.move(0, 1.25),
      "+": () => page.move(0, 0.8), "=": () => page.move(0, 0.8), "-": () => page.move(0, 1.25),
      Home: () => goTo(page, 0), End: () => page.show(visibleCount(page)),
    });
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    openTable(false);
    /** @type {HTMLDetailsElement} */ (element("layers")).open = false;
  });
}

/** @param {number} seconds @param {number} kind  of LightweightCharts.TickMarkType */
function localTick(seconds, kind) {
  const text = timeText(seconds * 1000, true);
  return kind === 0 ? text.slice(0, 4) : kind === 1 ? text.slice(0, 7) : kind === 2 ? text.slice(5, 10) : text.slice(11);
}

/** @param {Page} page */
function visibleCount(page) {
  const range = page.bars;
  return range ? Math.round((range.to - range.from) / (1 + ROOM_RIGHT)) : COUNT_AT_FIRST;
}

/** @param {Page} page @param {number} first */
function goTo(page, first) {
  const count = visibleCount(page);
  page.setBars(first - 0.5, first + count);
}

/** What the licence of Lightweight Charts asks for. */
function attribution() {
  const link = document.createElement("a");
  link.href = "https://www.tradingview.com/";
  link.textContent = "TradingView Lightweight Charts™, © 2026 TradingView, Inc.";
  link.style.color = "inherit";
  const words = document.createElement("span");
  words.append(" Chart: ", link);
  return words;
}

/** What other scripts, and tests, may use of the page. */
window.liquidator = (() => {
  /** @type {Page | undefined} */
  let page;
  const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const ready = (async () => {
    await painted();
    const scene = await readScene(JSON.parse(element("scene").textContent ?? ""));
    page = new Page(scene);
    connect(page);
    window.liquidator.scene = scene;
    window.liquidator.chart = page.chart;
    await painted();
  })();
  ready.catch((error) => {
    element("about").textContent = `The chart could not be drawn: ${error instanceof Error ? error.message : error}`;
  });
  return {
    scene: /** @type {Scene | undefined} */ (undefined),
    chart: /** @type {any} */ (undefined),
    ready,
    range: () => page?.range() ?? null,
    explain: (/** @type {number} */ time, /** @type {number} */ price) => page?.explain(time, price) ?? null,
  };
})();
