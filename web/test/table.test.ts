import { expect, test } from "vitest";
import { envelope, gaps, joined, placeOf, rows } from "../src/views/history/table";
import type { Series } from "../src/api";

function series(times: number[], column: string, avg: (number | null)[], spread = 0): Series {
  const moved = (by: number): (number | null)[] => avg.map((value) => (value === null ? null : value + by));
  return { resolution: "raw", step: 5, times, series: { [column]: { min: moved(-spread), avg, max: moved(spread) } } };
}

test("a gap is found where rows are missing, not where one came late", () => {
  expect(gaps([0, 5, 10, 16, 20, 60, 65], 5)).toEqual([25]);
  expect(gaps([0, 2, 4, 6], 5)).toEqual([]);
  expect(gaps([], 5)).toEqual([]);
});

test("rows slower than promised are no gaps", () => {
  expect(gaps([0, 60, 120, 180], 5)).toEqual([]);
});

test("two packs share one axis and neither tears the other's line", () => {
  const one = series([0, 5, 10], "power", [1, 2, 3]);
  const other = series([2, 7], "power", [10, 20]);
  const table = joined([
    { from: one, column: "power", sign: 1 },
    { from: other, column: "power", sign: 1 },
  ]);
  expect(table.times).toEqual([0, 2, 5, 7, 10]);
  expect(table.tracks[0]!.avg).toEqual([1, undefined, 2, undefined, 3]);
  expect(table.tracks[1]!.avg).toEqual([undefined, 10, undefined, 20, undefined]);
  expect(table.banded).toBe(false);
});

test("gaps stay gaps, and what is missing inside a row too", () => {
  const table = joined([{ from: series([0, 5, 100], "soc", [1, null, 3]), column: "soc", sign: 1 }]);
  expect(table.times).toEqual([0, 5, 100]);
  const torn = joined([{ from: series([0, 5, 10, 100, 105], "soc", [1, 1, null, 3, 3]), column: "soc", sign: 1 }]);
  expect(torn.times).toEqual([0, 5, 10, 15, 100, 105]);
  expect(torn.tracks[0]!.avg).toEqual([1, 1, null, null, 3, 3]);
});

test("what is drawn below zero changes its lowest and highest", () => {
  const table = joined([{ from: series([0, 5], "limit", [100, 0], 10), column: "limit", sign: -1 }]);
  expect(table.tracks[0]).toEqual({ min: [-110, -10], avg: [-100, 0], max: [-90, 10] });
  expect(table.banded).toBe(true);
});

test("a pack without the column, or without an answer, is an empty line", () => {
  const table = joined([
    { from: series([0], "soc", [1]), column: "voltage", sign: 1 },
    { from: undefined, column: "soc", sign: 1 },
  ]);
  expect(table.tracks.map((track) => track.avg)).toEqual([[undefined], [undefined]]);
});

test("the band around cells reaches from the lowest to the highest of all", () => {
  const table = joined([
    { from: series([0, 5], "a", [3.3, null], 0.25), column: "a", sign: 1 },
    { from: series([0, 5], "b", [3.5, null], 0.25), column: "b", sign: 1 },
  ]);
  expect(envelope(table.tracks, 2)).toEqual({ min: [3.3 - 0.25, null], max: [3.75, null] });
});

test("rows for reading keep every peak", () => {
  const table = joined([{ from: series([0, 5, 10, 15], "power", [1, 9, -4, 2]), column: "power", sign: 1 }]);
  expect(rows(table, 2)).toEqual([
    { time: 0, cells: [{ min: 1, avg: 5, max: 9 }] },
    { time: 10, cells: [{ min: -4, avg: -1, max: 2 }] },
  ]);
  expect(rows(table, 100)).toHaveLength(4);
});

test("rows leave out where nothing was stored", () => {
  expect(rows({ times: [0], tracks: [{ min: [null], avg: [null], max: [null] }], banded: false }, 10)).toEqual([]);
});

test("a time is found in its place", () => {
  expect([-1, 0, 4, 5, 99].map((time) => placeOf([0, 5, 10], time))).toEqual([-1, 0, 0, 1, 2]);
});
