/** Which lines are drawn in which chart: presets, chosen readings, and packs beside each other. */

import type { CatalogueReading, StoredPack } from "../../api";

export type Reading = Omit<CatalogueReading, "meaning">;
export type Stored = StoredPack;

/** One line of a chart: a column of a pack; sign -1 draws it below zero. */
export interface Line {
  pack: string;
  column: string;
  unit: string;
  sign: 1 | -1;
}

/** One chart: lines on at most two y axes; `pack` is set when it belongs to one pack only. */
export interface Panel {
  key: string;
  lines: Line[];
  units: string[];
  pack: string;
}

/** The presets: charts, each with its readings in the order they are looked for. */
export const PRESETS: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  ["power", [["power"]]],
  ["pack", [["voltage", "current"]]],
  ["charge", [["soc", "counted_soc"]]],
  ["cells", [["cell_voltages"], ["cell_delta"]]],
  [
    "temperatures",
    [["temperatures", "mosfet_temperature", "balancer_temperature", "ambient_temperature", "board_temperature"]],
  ],
  ["limits", [["current", "charge_current_limit", "discharge_current_limit"], ["voltage", "charge_voltage_limit"]]],
];

// A bank has no cells and sensors of its own, but the extremes of its packs.
const INSTEAD: Record<string, readonly string[]> = {
  cell_voltages: ["cell_min", "cell_max"],
  temperatures: ["temperature_min", "temperature_max"],
};

// Drawn below zero in the preset, so that the current moves between both limits.
const BELOW_ZERO = new Set(["discharge_current_limit"]);

export function isPreset(show: string): boolean {
  return PRESETS.some(([key]) => key === show);
}

/** Return the reading a column belongs to: cell_voltages.3 is of cell_voltages. */
export function readingOf(column: string): string {
  return column.split(".")[0] ?? column;
}

/** Return the number of a list's element, from 1; 0 where the column is no list. */
export function elementOf(column: string): number {
  return Number(column.split(".")[1] ?? 0);
}

/** Return the stored columns of a reading, the elements of a list in order. */
export function columnsOf(reading: string, stored: Stored): string[] {
  const found = stored.columns.filter((column) => readingOf(column) === reading);
  return found.sort((a, b) => elementOf(a) - elementOf(b));
}

/** Return the charts to draw for what is shown of these packs. */
export function panels(show: string, packs: readonly Stored[], catalogue: ReadonlyMap<string, Reading>): Panel[] {
  const preset = PRESETS.find(([key]) => key === show);
  const wanted = preset ? preset[1] : byQuantity(show.split(","), catalogue);
  const found: Panel[] = [];
  wanted.forEach((readings, place) => {
    const lines = packs.flatMap((pack) => linesOf(readings, pack, catalogue, preset !== undefined));
    found.push(...apart(`${show}-${place}`, lines, packs.length));
  });
  return preset ? found : paired(found, packs.length);
}

function linesOf(
  readings: readonly string[],
  pack: Stored,
  catalogue: ReadonlyMap<string, Reading>,
  preset: boolean,
): Line[] {
  return readings.flatMap((reading) => {
    const own = columnsOf(reading, pack);
    const columns = own.length > 0 || !preset ? own : (INSTEAD[reading] ?? []).flatMap((name) => columnsOf(name, pack));
    return columns.map((column): Line => ({
      pack: pack.id,
      column,
      unit: catalogue.get(readingOf(column))?.unit ?? "",
      sign: preset && BELOW_ZERO.has(column) ? -1 : 1,
    }));
  });
}

/** Split lines that would hide each other: lists of several packs by pack, units of several packs by unit. */
function apart(key: string, lines: Line[], packs: number): Panel[] {
  if (lines.length === 0) return [];
  if (packs === 1) return [panel(key, lines, lines[0]?.pack ?? "")];
  if (lines.some((line) => elementOf(line.column) > 0)) {
    return groups(lines, (line) => line.pack).map(([pack, own]) => panel(`${key}-${pack}`, own, pack));
  }
  return groups(lines, (line) => line.unit).map(([unit, own]) => panel(`${key}-${unit}`, own, ""));
}

function panel(key: string, lines: Line[], pack: string): Panel {
  return { key, lines, units: [...new Set(lines.map((line) => line.unit))].slice(0, 2), pack };
}

/** Put chosen readings that are measured alike together. */
function byQuantity(readings: readonly string[], catalogue: ReadonlyMap<string, Reading>): string[][] {
  const known = readings.filter((reading) => catalogue.has(reading));
  return groups(known, (reading) => catalogue.get(reading)?.quantity ?? "").map(([, own]) => own);
}

/** Put two charts of one pack with one unit each on one time axis. */
function paired(found: Panel[], packs: number): Panel[] {
  const [first, second] = found;
  if (packs !== 1 || found.length !== 2 || !first || !second) return found;
  const lines = [...first.lines, ...second.lines];
  return first.units[0] === second.units[0] || lines.length > 6 ? found : [panel(first.key, lines, first.pack)];
}

function groups<T>(things: readonly T[], by: (thing: T) => string): [string, T[]][] {
  const found = new Map<string, T[]>();
  for (const thing of things) {
    const key = by(thing);
    found.set(key, [...(found.get(key) ?? []), thing]);
  }
  return [...found];
}

/** Return the readings that can be drawn, by group, for choosing. */
export function choices(packs: readonly Stored[], catalogue: ReadonlyMap<string, Reading>): [string, Reading[]][] {
  const there = new Set(packs.flatMap((pack) => pack.columns.map(readingOf)));
  const drawn = [...catalogue.values()].filter((reading) => there.has(reading.name) && reading.kind !== "text");
  return groups(drawn, (reading) => reading.group);
}
