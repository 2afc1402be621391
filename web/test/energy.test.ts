process.env.TZ = "Europe/Berlin";
import { expect, test } from "vitest";
import { bars, limits, readPage, scale, total, turned, writePage } from "../src/views/history/portions";
import type { EnergyRow } from "../src/api";

const at = (text: string): number => new Date(text).getTime() / 1000;
const NOW = at("2026-11-21T12:00:00");

test("a page is a month of days or a year of months", () => {
  expect(readPage("2026-03", NOW)).toEqual({ year: 2026, month: 3 });
  expect(readPage("2025", NOW)).toEqual({ year: 2025, month: null });
  for (const wrong of ["", "2026-13", "x"]) expect(readPage(wrong, NOW)).toEqual({ year: 2026, month: 11 });
  expect(writePage({ year: 2026, month: 3 })).toBe("2026-03");
  expect(writePage({ year: 2026, month: null })).toBe("2026");
});

test("turning goes over the end of the year", () => {
  expect(turned({ year: 2026, month: 12 }, 1)).toEqual({ year: 2027, month: 1 });
  expect(turned({ year: 2026, month: 1 }, -1)).toEqual({ year: 2025, month: 12 });
  expect(turned({ year: 2026, month: null }, -1)).toEqual({ year: 2025, month: null });
});

test("a month reaches over the change of the clocks", () => {
  const { start, end } = limits({ year: 2026, month: 3 });
  expect(end - start).toBe(31 * 86400 - 3600);
});

test("each day has its bar, days without data have none, and 0 is not missing", () => {
  const portion = (day: string, next: string, into: number | null): EnergyRow => ({
    from: at(`${day}T00:00:00`), to: at(`${next}T00:00:00`), energy_in: into, energy_out: 1, charge_in: null, charge_out: null,
  });
  const all = bars({ year: 2026, month: 3 }, [portion("2026-03-29", "2026-03-30", 0), portion("2026-03-31", "2026-04-01", 2.5)]);
  expect(all).toHaveLength(31);
  expect(all[27]).toMatchObject({ number: 28, in: null, out: null });
  expect(all[28]).toMatchObject({ number: 29, in: 0, out: 1 });
  expect(all[30]).toMatchObject({ number: 31, in: 2.5, out: 1 });
  expect(total(all)).toEqual({ in: 2.5, out: 2 });
});

test("a year has twelve bars", () => {
  const month: EnergyRow = { from: at("2026-02-01T00:00:00"), to: at("2026-03-01T00:00:00"), energy_in: 50, energy_out: 48, charge_in: 1, charge_out: 1 };
  const all = bars({ year: 2026, month: null }, [month]);
  expect(all.map((bar) => bar.in)).toEqual([null, 50, ...new Array(10).fill(null)]);
});

test.each([[0, 2], [0.9, 4], [7, 5], [10, 5], [31, 5], [99, 5]])("the axis up to %d has round marks", (highest, most) => {
  const marks = scale(highest);
  expect(marks[0]).toBe(0);
  expect(marks.at(-1)!).toBeGreaterThanOrEqual(highest);
  expect(marks.length).toBeGreaterThanOrEqual(2);
  expect(marks.length).toBeLessThanOrEqual(Math.max(most, 6));
});
