// The standing zones and the levels as tables: sortable, copyable.

/** @typedef {{title: string, columns: string[], rows: (string | number)[][], texts: string[][]}} Table */

/** @param {Scene} scene @param {string} timeframe @returns {Table[]} */
function tablesOf(scene, timeframe) {
  const zones = (scene.zones[timeframe] ?? []).filter((zone) => zone.end === null).sort((a, b) => b.high - a.high);
  const levels = [...scene.levels].reverse();
  const close = scene.candles.close[scene.candles.close.length - 1];
  return [
    {
      title: "Standing zones",
      columns: ["kind", "low", "high", "USD", "quality", "touched", "held"],
      rows: zones.map((zone) => [zone.kind, zone.low, zone.high, zone.usd, zone.quality, zone.touches, zone.holds]),
      texts: zones.map((zone) => [zone.kind, priceText(zone.low), priceText(zone.high), usdText(zone.usd), `${zone.quality.toFixed(0)} ${zone.label}`, String(zone.touches), String(zone.holds)]),
    },
    {
      title: "Levels ahead",
      columns: ["who", "price", "from close", "USD", "share by then"],
      rows: levels.map((level) => [level.side, level.price, level.price / close - 1, level.usd, level.share]),
      texts: levels.map((level) => [`${level.side}s`, priceText(level.price), `${(100 * (level.price / close - 1)).toFixed(2)} %`, usdText(level.usd), `${(100 * level.share).toFixed(0)} %`]),
    },
  ];
}

/** @param {HTMLElement} place @param {Scene} scene @param {string} timeframe */
function showTables(place, scene, timeframe) {
  place.replaceChildren(...tablesOf(scene, timeframe).flatMap(elementsOf));
}

/** @param {Table} table @returns {HTMLElement[]} */
function elementsOf(table) {
  const heading = document.createElement("h2");
  heading.textContent = table.title;
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  const element = document.createElement("table");
  const head = element.createTHead().insertRow();
  const body = element.createTBody();
  let order = table.rows.map((_, i) => i);
  const fill = () => body.replaceChildren(...order.map((i) => {
    const row = document.createElement("tr");
    for (const text of table.texts[i]) row.insertCell().textContent = text;
    return row;
  }));
  table.columns.forEach((name, column) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") !== "descending";
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      order = order.slice().sort((a, b) => (table.rows[a][column] < table.rows[b][column] ? 1 : -1) * (down ? 1 : -1));
      fill();
    });
    cell.append(button);
    head.append(cell);
  });
  copy.addEventListener("click", async () => {
    const text = [table.columns, ...order.map((i) => table.rows[i])].map((row) => row.join("\t")).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      copyBySelection(text);
    }
  });
  fill();
  heading.append(copy);
  return [heading, element];
}

/** Where a page may not write to the clipboard: the text, selected, to be copied by hand. @param {string} text */
function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("aria-label", "Text to copy");
  document.getElementById("table")?.prepend(area);
  area.select();
}
