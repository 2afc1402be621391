/** The line of one value over the last minutes. */
import type { Moment } from "../../live";

export const WIDTH = 300;
export const HEIGHT = 44;

export interface Line {
  path: string;
  zero: number | null; // where 0 stands, when it is between the ends
  low: number;
  high: number;
}

/** Return the path of one value over time in a field of 300 × 44; null where there is too little to draw. */
export function trailLine(moments: readonly Moment[], what: "power" | "voltage", least: number): Line | null {
  const known = moments.filter((moment) => moment[what] !== null) as (Moment & Record<typeof what, number>)[];
  const first = known[0];
  const last = known[known.length - 1];
  if (!first || !last || last.time - first.time < 3) return null;
  const values = known.map((moment) => moment[what]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  // A calm line stays calm: noise is not blown up to the whole height.
  const room = Math.max(high - low, least);
  const middle = (low + high) / 2;
  const x = (time: number) => ((time - first.time) / (last.time - first.time)) * WIDTH;
  const y = (value: number) => HEIGHT / 2 - ((value - middle) / room) * (HEIGHT - 6);
  let path = "";
  known.forEach((moment, index) => {
    const gap = index > 0 && moment.time - known[index - 1]!.time > 30;
    path += `${index === 0 || gap ? "M" : "L"}${x(moment.time).toFixed(1)} ${y(moment[what]).toFixed(1)}`;
  });
  return { path, low, high, zero: low < 0 && high > 0 ? y(0) : null };
}
