/**
 * A density as mass under the points: opacity is turned into the mass that would be as dark, and points are added to it.
 * So both are coloured in one pass, where drawing one canvas over another costs as much as 100,000 points.
 */
import type { Grid } from "./density";
import { massOf, type View } from "./splat";

/** Fractions of a cell are counted in 64ths. */
const FINE_BITS = 6;
const FINE = 1 << FINE_BITS;
/** So many shades: more than the eye, or 8 bits of opacity, tell apart. */
const LEVELS = 1023;

export class Backdrop {
  private cells = new Int32Array(0);
  private columns = new Int32Array(0);
  private parts = new Int32Array(0);
  private above = new Int32Array(0);
  private below = new Int32Array(0);
  private change = new Int32Array(0);
  private masses: { key: string; of: Int32Array } | null = null;

  /**
   * Replace what is in `mass` (width x height) by the density's: opacity `strength` sqrt(p / max p), interpolated linearly
   * between the cells' centres. Pixels are laid four at a time: a cell is six wide and high, or more.
   */
  lay(
    mass: Int32Array,
    width: number,
    height: number,
    density: Float64Array,
    grid: Grid,
    view: View,
    strength: number,
    ink: number,
  ): void {
    const { rows, cell, top } = grid;
    this.fill(density, strength, ink);
    this.fit(width, grid, view);
    const side = cell * view.scale;
    const y0 = view.y0 - top * view.scale;
    let held = -1;
    for (let j = 0; j < height; j += 2) {
      const at = Math.min(rows - 1, Math.max(0, (j + 1 - y0) / side - 0.5));
      const row = Math.max(0, Math.min(rows - 2, at | 0));
      if (row !== held) this.hold(row, held, grid.columns, rows);
      held = row;
      layRow(mass, j * width, width, this.above, this.change, Math.round(FINE * (at - row)));
      if (j + 1 < height) mass.copyWithin((j + 1) * width, j * width, (j + 1) * width);
    }
  }

  /** The mass of each cell. */
  private fill(density: Float64Array, strength: number, ink: number): void {
    const n = density.length;
    if (this.cells.length !== n) this.cells = new Int32Array(n);
    const { cells } = this;
    const masses = this.massesFor(strength, ink);
    let max = 0;
    for (let i = 0; i < n; i++) if (density[i] > max) max = density[i];
    const gain = max > 0 ? LEVELS / Math.sqrt(max) : 0;
    for (let i = 0; i < n; i++) cells[i] = masses[(gain * Math.sqrt(density[i]) + 0.5) | 0];
  }

  /** The mass at each level of sqrt(p / max p). */
  private massesFor(strength: number, ink: number): Int32Array {
    const key = `${strength} ${ink}`;
    if (this.masses?.key !== key) {
      const of = Int32Array.from({ length: LEVELS + 1 }, (_, i) => Math.round(massOf((strength * i) / LEVELS, ink)));
      this.masses = { key, of };
    }
    return this.masses.of;
  }

  /** Which cell each column of pixels lies in, and how far. */
  private fit(width: number, { columns, cell, left }: Grid, view: View): void {
    if (this.columns.length !== width) {
      this.columns = new Int32Array(width);
      this.parts = new Int32Array(width);
      this.above = new Int32Array(width);
      this.below = new Int32Array(width);
      this.change = new Int32Array(width);
    }
    const side = cell * view.scale;
    const x0 = view.x0 + left * view.scale;
    for (let i = 0; i < width; i++) {
      const at = Math.min(columns - 1, Math.max(0, (i + 0.5 - x0) / side - 0.5));
      this.columns[i] = Math.max(0, Math.min(columns - 2, at | 0));
      this.parts[i] = Math.round(FINE * (at - this.columns[i]));
    }
  }

  /** A row of cells at every column of pixels, and how much the next one differs. */
  private hold(row: number, held: number, columns: number, rows: number): void {
    if (held >= 0 && row === held + 1) [this.above, this.below] = [this.below, this.above];
    else this.widen(this.above, row * columns, columns);
    this.widen(this.below, Math.min(row + 1, rows - 1) * columns, columns);
    const { above, below, change } = this;
    for (let i = 0; i < change.length; i++) change[i] = (below[i] - above[i]) | 0;
  }

  private widen(out: Int32Array, start: number, count: number): void {
    const { cells, columns, parts } = this;
    const right = count > 1 ? 1 : 0;
    for (let i = 0; i < out.length; i++) {
      const c = (start + columns[i]) | 0;
      out[i] = ((cells[c] << FINE_BITS) + Math.imul(cells[c + right] - cells[c], parts[i])) | 0;
    }
  }
}

/** A function of its own: it runs for every pixel, and is compiled once for all scenes. */
function layRow(
  into: Int32Array,
  start: number,
  width: number,
  above: Int32Array,
  change: Int32Array,
  part: number,
): void {
  const last = (width - 1) | 0;
  for (let i = 0; i < last; i += 2) {
    const value = ((above[i] << FINE_BITS) + Math.imul(change[i], part)) >> (2 * FINE_BITS);
    into[start + i] = value;
    into[start + i + 1] = value;
  }
  into[start + last] = ((above[last] << FINE_BITS) + Math.imul(change[last], part)) >> (2 * FINE_BITS);
}
