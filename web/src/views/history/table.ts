/** The numbers of a chart: series of several packs on one time axis, gaps that stay gaps, fewer rows for reading. */

import type { Series } from "../../api";

export type Numbers = (number | null | undefined)[];

/** One line on the common time axis; undefined where only another pack has a row, null in a gap. */
export interface Track {
  min: Numbers;
  avg: Numbers;
  max: Numbers;
}

export interface Table {
  times: number[];
  tracks: Track[];
  banded: boolean;
}

/** A column of an answer, and whether it is drawn upside down. */
export interface Wanted {
  from: Series | undefined;
  column: string;
  sign: 1 | -1;
}

/** A row later than this many steps after the one before is behind a gap. */
const GAP = 3.5;

/** Return the times behind which nothing was stored for a while. */
export function gaps(times: readonly number[], step: number): number[] {
  const usual = Math.max(step, median(times));
  const found: number[] = [];
  for (let at = 1; at < times.length; at++) {
    const before = times[at - 1] as number;
    if ((times[at] as number) - before > usual * GAP) found.push(before + usual);
  }
  return found;
}

function median(times: readonly number[]): number {
  const steps = [];
  for (let at = 1; at < times.length; at++) steps.push((times[at] as number) - (times[at - 1] as number));
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}

/** Return all wanted columns on one time axis. */
export function joined(wanted: readonly Wanted[]): Table {
  const answers = [...new Set(wanted.map((one) => one.from))].filter((one) => one !== undefined);
  const holes = new Map(answers.map((answer) => [answer, gaps(answer.times, answer.step)]));
  const times = [...new Set(answers.flatMap((answer) => [...answer.times, ...(holes.get(answer) ?? [])]))];
  times.sort((a, b) => a - b);
  const place = new Map(times.map((time, at) => [time, at]));
  let banded = false;
  const tracks = wanted.map((one): Track => {
    const track: Track = {
      min: new Array<undefined>(times.length).fill(undefined),
      avg: new Array<undefined>(times.length).fill(undefined),
      max: new Array<undefined>(times.length).fill(undefined),
    };
    const values = one.from?.series[one.column];
    if (!one.from || !values) return track;
    const [min, max] = [values.min ?? values.avg, values.max ?? values.avg];
    const [low, high] = one.sign === 1 ? [min, max] : [max, min];
    one.from.times.forEach((time, from) => {
      const at = place.get(time) as number;
      track.min[at] = signed(low[from], one.sign);
      track.avg[at] = signed(values.avg[from], one.sign);
      track.max[at] = signed(high[from], one.sign);
      banded ||= track.min[at] !== track.max[at];
    });
    for (const time of holes.get(one.from) ?? []) {
      const at = place.get(time) as number;
      track.min[at] = track.avg[at] = track.max[at] = null;
    }
    return track;
  });
  return { times, tracks, banded };
}

function signed(value: number | null | undefined, sign: 1 | -1): number | null {
  if (value === null || value === undefined) return null;
  return sign === 1 || value === 0 ? value : -value;
}

/** Return the lowest and highest value of several tracks at each time, for the band around many cells. */
export function envelope(tracks: readonly Track[], length: number): { min: Numbers; max: Numbers } {
  const min: Numbers = new Array<undefined>(length).fill(undefined);
  const max: Numbers = new Array<undefined>(length).fill(undefined);
  for (const track of tracks) {
    for (let at = 0; at < length; at++) {
      const [low, high] = [track.min[at], track.max[at]];
      if (low === undefined) continue;
      if (low === null || high === null || high === undefined) {
        if (min[at] === undefined) min[at] = max[at] = null;
        continue;
      }
      const [lowest, highest] = [min[at], max[at]];
      min[at] = typeof lowest === "number" ? Math.min(lowest, low) : low;
      max[at] = typeof highest === "number" ? Math.max(highest, high) : high;
    }
  }
  return { min, max };
}

/** One row of the table for reading: a stretch of time and each line's min, average and max in it. */
export interface Row {
  time: number;
  cells: ({ min: number; avg: number; max: number } | null)[];
}

/** Return at most `limit` rows, neighbours put together, so that no peak is lost. */
export function rows(table: Table, limit: number): Row[] {
  const together = Math.max(1, Math.ceil(table.times.length / limit));
  const found: Row[] = [];
  for (let start = 0; start < table.times.length; start += together) {
    const end = Math.min(start + together, table.times.length);
    const cells = table.tracks.map((track) => summary(track, start, end));
    if (cells.some((cell) => cell !== null)) found.push({ time: table.times[start] as number, cells });
  }
  return found;
}

function summary(track: Track, start: number, end: number): Row["cells"][number] {
  let [min, max, sum, count] = [Infinity, -Infinity, 0, 0];
  for (let at = start; at < end; at++) {
    const value = track.avg[at];
    if (typeof value !== "number") continue;
    min = Math.min(min, track.min[at] ?? value);
    max = Math.max(max, track.max[at] ?? value);
    sum += value;
    count += 1;
  }
  return count === 0 ? null : { min, avg: sum / count, max };
}

/** Return the place of the last time that is not after `time`, -1 when all are. */
export function placeOf(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
