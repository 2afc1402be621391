/** How cells are drawn: an axis that is zoomed so that millivolts are seen. */
import type { Readings } from "../../api";
import { numbers } from "../../format";

export interface Cell {
  number: number;
  voltage: number | null;
  share: number; // of the axis, 0 to 100
  lowest: boolean;
  highest: boolean;
  balancing: boolean;
  resistance: number | null;
}

export interface Cells {
  cells: Cell[];
  low: number; // ends of the axis, V
  high: number;
  mean: number;
  meanShare: number;
  least: number; // lowest and highest cell, V
  most: number;
}

/** Return the ends of an axis around the values: round, and never so narrow that noise looks like a fault. */
export function axis(least: number, most: number): [low: number, high: number] {
  const width = Math.max(0.06, (most - least) * 1.6);
  const step = width > 0.5 ? 0.1 : width > 0.15 ? 0.05 : 0.01;
  const low = Math.floor((least - (width - (most - least)) * 0.6) / step) * step;
  const high = Math.ceil((most + (width - (most - least)) * 0.2) / step) * step;
  return [Math.max(0, round(low)), round(high)];
}

const round = (value: number) => Math.round(value * 1000) / 1000;

/** Return the cells of the readings ready to be drawn, or null when the BMS tells none. */
export function cellsOf(readings: Readings): Cells | null {
  const voltages = numbers(readings, "cell_voltages");
  const known = voltages.filter((voltage) => voltage !== null);
  if (!known.length) return null;
  const least = Math.min(...known);
  const most = Math.max(...known);
  const mean = known.reduce((sum, voltage) => sum + voltage, 0) / known.length;
  const [low, high] = axis(least, most);
  const share = (voltage: number) => ((voltage - low) / (high - low)) * 100;
  const balancing = new Set(balancingCells(readings));
  const resistances = numbers(readings, "cell_resistances");
  const lowestAt = voltages.indexOf(least);
  const highestAt = voltages.indexOf(most);
  const cells = voltages.map((voltage, index) => ({
    number: index + 1,
    voltage,
    share: voltage === null ? 0 : share(voltage),
    lowest: index === lowestAt && most > least,
    highest: index === highestAt && most > least,
    balancing: balancing.has(index + 1),
    resistance: resistances[index] ?? null,
  }));
  return { cells, low, high, mean, meanShare: share(mean), least, most };
}

/** Return the numbers of the cells that are being balanced. */
export function balancingCells(readings: Readings): number[] {
  const list = readings["balancing_cells"];
  return Array.isArray(list) ? list.map(Number).filter((cell) => Number.isInteger(cell) && cell > 0) : [];
}
