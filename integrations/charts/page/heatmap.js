// The liquidation heatmap: runs of cells in classes, drawn bar by bar when near and at every so many bars from afar.

/** @typedef {{start: Int32Array, end: Int32Array, cell: Int32Array, reachedBy: Int32Array}} Sheet  runs of one class; rows are in steps */
/** @typedef {{step: number, cells: number, sheets: Sheet[]}} Detail  `step` rows and `cells` cells in one */

const BLOCK = 256;
const DETAILS = [[1, 1], [4, 1], [16, 2], [64, 2], [256, 4], [1024, 4]];

class Heatmap {
  /** @param {Runs} runs @param {number} rows @param {number} classes */
  constructor(runs, rows, classes) {
    this.runs = runs;
    this.rows = rows;
    this.classes = classes;
    /** @type {(Detail | undefined)[]} */
    this.details = [];
  }

  /** The detail whose steps are at least about a pixel wide. @param {number} pixelsARow */
  detail(pixelsARow) {
    let chosen = DETAILS.findIndex(([step]) => step * pixelsARow >= 0.9);
    if (chosen < 0) chosen = DETAILS.length - 1;
    return (this.details[chosen] ??= this.make(DETAILS[chosen][0], DETAILS[chosen][1]));
  }

  /** From afar a cell is what its heaviest part was in the middle of each step. @param {number} step @param {number} cells @returns {Detail} */
  make(step, cells) {
    const { start, length, cell, rank } = this.runs;
    /** @type {number[][][]} */
    const found = Array.from({ length: this.classes }, () => []);
    if (step === 1 && cells === 1) {
      for (let i = 0; i < start.length; i++) found[rank[i] - 1].push([start[i], start[i] + length[i], cell[i]]);
    } else {
      const places = Math.ceil(this.rows / step);
      const half = step >> 1;
      /** @type {Map<number, Uint8Array>} */
      const lines = new Map();
      for (let i = 0; i < start.length; i++) {
        const from = Math.max(0, Math.ceil((start[i] - half) / step));
        const to = Math.ceil((start[i] + length[i] - half) / step);
        if (to <= from) continue;
        const at = Math.floor(cell[i] / cells);
        let line = lines.get(at);
        if (!line) lines.set(at, (line = new Uint8Array(places + 1)));
        for (let place = from; place < to; place++) if (line[place] < rank[i]) line[place] = rank[i];
      }
      for (const [at, line] of lines) {
        let from = 0;
        for (let place = 1; place <= places; place++) {
          if (line[place] === line[from]) continue;
          if (line[from]) found[line[from] - 1].push([from, place, at]);
          from = place;
        }
        if (line[from] && from < places) found[line[from] - 1].push([from, places, at]);
      }
      for (const runs of found) runs.sort((a, b) => a[0] - b[0]);
    }
    return { step, cells, sheets: found.map(sheetOf) };
  }

  /** The class of a cell at a row; 0 below the first. @param {number} row @param {number} cell */
  rankAt(row, cell) {
    const { sheets } = this.detail(1);
    for (let rank = sheets.length; rank > 0; rank--) {
      const sheet = sheets[rank - 1];
      for (let i = below(sheet.start, row + 1) - 1; i >= 0; i--) {
        if (sheet.cell[i] === cell && sheet.end[i] > row) return rank;
        if (i % BLOCK === 0 && maxUntil(sheet, i / BLOCK) <= row) break;
      }
    }
    return 0;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{first: number, last: number, x: (row: number) => number, y: (edge: number) => number, pixelsARow: number, height: number}} view
   * @param {string[]} colours  of the classes @param {number} from  the first class that is drawn
   */
  paint(context, view, colours, from) {
    const { step, cells, sheets } = this.detail(view.pixelsARow);
    const first = Math.floor(view.first / step);
    const last = Math.ceil(view.last / step);
    for (let rank = from; rank <= sheets.length; rank++) {
      const sheet = sheets[rank - 1];
      context.fillStyle = colours[rank - 1];
      const count = below(sheet.start, last);
      for (let block = 0; block * BLOCK < count; block++) {
        if (sheet.reachedBy[block] <= first) continue;
        const stop = Math.min(count, (block + 1) * BLOCK);
        for (let i = block * BLOCK; i < stop; i++) {
          if (sheet.end[i] <= first) continue;
          const top = view.y((sheet.cell[i] + 1) * cells);
          const bottom = view.y(sheet.cell[i] * cells);
          if (bottom < 0 || top > view.height) continue;
          const left = view.x(Math.max(sheet.start[i], first) * step);
          const right = view.x(Math.min(this.rows, Math.min(sheet.end[i], last) * step));
          context.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
        }
      }
    }
  }
}

/** @param {number[][]} runs  first, end and cell, in order of the first @returns {Sheet} */
function sheetOf(runs) {
  const sheet = {
    start: Int32Array.from(runs, (run) => run[0]),
    end: Int32Array.from(runs, (run) => run[1]),
    cell: Int32Array.from(runs, (run) => run[2]),
    reachedBy: new Int32Array(Math.ceil(runs.length / BLOCK)),
  };
  for (let i = 0; i < runs.length; i++) {
    const block = Math.floor(i / BLOCK);
    sheet.reachedBy[block] = Math.max(sheet.reachedBy[block], sheet.end[i]);
  }
  return sheet;
}

/** The latest end of all runs before a block. @param {Sheet} sheet @param {number} block */
function maxUntil(sheet, block) {
  let latest = 0;
  for (let i = 0; i < block; i++) latest = Math.max(latest, sheet.reachedBy[i]);
  return latest;
}
