import { expect, test } from "vitest";
import { between, moments, moved, named, nameOf, read, renewEvery, resolutionOf, write, zoomed } from "../src/views/history/span";

const NOW = 1_795_000_000;
const FIRST = NOW - 400 * 86400;

test("a named span ends now", () => {
  expect(moments(named("6h")!, NOW, FIRST)).toEqual({ start: NOW - 21600, end: NOW });
  expect(moments(named("all")!, NOW, FIRST)).toEqual({ start: FIRST, end: NOW });
  expect(nameOf(named("7d")!)).toBe("7d");
  expect(named("2h")).toBeNull();
});

test("all of a history that just began still shows an hour", () => {
  expect(moments(named("all")!, NOW, NOW - 10)).toEqual({ start: NOW - 3600, end: NOW });
});

test("dragging chooses what lies between, in either direction, and never less than can be drawn", () => {
  expect(between(NOW - 5000, NOW - 4000, NOW)).toEqual({ from: NOW - 5000, to: NOW - 4000 });
  expect(between(NOW - 4000, NOW - 5000, NOW)).toEqual({ from: NOW - 5000, to: NOW - 4000 });
  const short = between(NOW - 5000, NOW - 4999, NOW);
  expect(short.to! - short.from).toBe(20);
});

test("what reaches to now goes on with the time", () => {
  expect(between(NOW - 1000, NOW + 50, NOW).to).toBeNull();
  expect(between(NOW - 1000, NOW - 1, NOW)).toEqual({ from: -999, to: null });
});

test("zoom keeps the middle, or the end while that is now", () => {
  expect(zoomed({ from: NOW - 5000, to: NOW - 4000 }, 0.5, NOW, FIRST)).toEqual({ from: NOW - 4750, to: NOW - 4250 });
  expect(zoomed({ from: -3600, to: null }, 2, NOW, FIRST)).toEqual({ from: -7200, to: null });
});

test("zoom out ends a little beyond all there is", () => {
  const out = zoomed({ from: -3600, to: null }, 1e9, NOW, NOW - 100_000);
  expect(out).toEqual({ from: -105_000, to: null });
});

test("moving stops at now", () => {
  expect(moved({ from: -3600, to: null }, -0.5, NOW, FIRST)).toEqual({ from: NOW - 5400, to: NOW - 1800 });
  expect(moved({ from: NOW - 5400, to: NOW - 1800 }, 0.5, NOW, FIRST)).toEqual({ from: -3600, to: null });
});

test("long spans ask for days, the others leave the resolution to the gateway", () => {
  const of = (days: number): string => resolutionOf({ start: NOW - days * 86400, end: NOW });
  expect([1, 30, 120, 121, 365].map(of)).toEqual(["", "", "", "day", "day"]);
  expect(renewEvery({ start: NOW - 3600, end: NOW })).toBe(10);
});

test("the address says all that is shown, and can be read again", () => {
  const shown = {
    of: ["jk-1", "bank-my house, left"],
    show: "voltage,current",
    span: { from: NOW - 50, to: NOW },
    energy: "2026-11",
  };
  expect(read(new URLSearchParams(write(shown)))).toEqual(shown);
  const live = { of: [], show: "power", span: named("1y")!, energy: "" };
  expect(write(live)).toBe("show=power&from=-1y");
  expect(read(new URLSearchParams(write(live)))).toEqual(live);
  expect(read(new URLSearchParams("from=all")).span).toEqual({ from: -0, to: null });
});

test.each(["", "from=nonsense", "from=-x", "from=5", "from=9&to=3", "from=NaN&to=NaN"])("an address that is wrong shows a day: %s", (text) => {
  expect(read(new URLSearchParams(text)).span).toEqual({ from: -86400, to: null });
});
