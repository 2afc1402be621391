/** Energy by day and by month: which stretch is asked for, and its sums. */

import type { EnergyRow } from "../../api";

/** A month of days, or a year of months. */
export interface Page {
  year: number;
  month: number | null; // from 1
}

/** Return the page that the address names: 2026-11 is a month of days, 2026 a year of months. */
export function readPage(text: string, now: number): Page {
  const found = /^(\d{4})(?:-(\d{2}))?$/.exec(text);
  const month = Number(found?.[2] ?? 0);
  if (found && month <= 12) return { year: Number(found[1]), month: month === 0 ? null : month };
  const at = new Date(now * 1000);
  return { year: at.getFullYear(), month: at.getMonth() + 1 };
}

export function writePage(page: Page): string {
  return page.month === null ? String(page.year) : `${page.year}-${String(page.month).padStart(2, "0")}`;
}

/** Return the page before (-1) or after (1). */
export function turned(page: Page, by: number): Page {
  if (page.month === null) return { year: page.year + by, month: null };
  const at = page.year * 12 + page.month - 1 + by;
  return { year: Math.floor(at / 12), month: (at % 12) + 1 };
}

/** Return the moments a page covers, in the reader's own zone. */
export function limits(page: Page): { start: number; end: number } {
  const first = (year: number, month: number): number => new Date(year, month, 1).getTime() / 1000;
  if (page.month === null) return { start: first(page.year, 0), end: first(page.year + 1, 0) };
  return { start: first(page.year, page.month - 1), end: first(page.year, page.month) };
}

/** One bar: a day or month, whether or not anything was stored in it. */
export interface Bar {
  number: number;
  from: number;
  in: number | null;
  out: number | null;
}

/** Return a bar for each day or month of the page; one without data has null, not 0. */
export function bars(page: Page, portions: readonly EnergyRow[]): Bar[] {
  const count = page.month === null ? 12 : new Date(page.year, page.month, 0).getDate();
  return Array.from({ length: count }, (_, at) => {
    const begin =
      page.month === null ? new Date(page.year, at, 1) : new Date(page.year, page.month - 1, at + 1);
    const end = page.month === null ? new Date(page.year, at + 1, 1) : new Date(page.year, page.month - 1, at + 2);
    const [from, to] = [begin.getTime() / 1000, end.getTime() / 1000];
    const found = portions.find((one) => (one.from + one.to) / 2 >= from && (one.from + one.to) / 2 < to);
    return { number: at + 1, from, in: found?.energy_in ?? null, out: found?.energy_out ?? null };
  });
}

/** Return the sums of what is known. */
export function total(all: readonly Bar[]): { in: number; out: number } {
  return {
    in: all.reduce((sum, bar) => sum + (bar.in ?? 0), 0),
    out: all.reduce((sum, bar) => sum + (bar.out ?? 0), 0),
  };
}

/** Return round marks for an axis from 0 to at least `highest`. */
export function scale(highest: number, marks = 4): number[] {
  const rough = Math.max(highest, 0.001) / marks;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((times) => times * power >= rough * 0.999) ?? 10) * power;
  const count = Math.ceil(highest / step - 1e-9) || 1;
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(6)));
}
