import { describe, expect, it } from "vitest";
import type { Pack } from "../src/api";
import { spreadWindow } from "../src/parts/Spread";
import { totals } from "../src/views/overview/totals";
import { linkQuality } from "../src/views/pack/quality";
import { axis, cellsOf } from "../src/views/pack/cells";
import { trailLine } from "../src/views/pack/line";
import { mistakes } from "../src/views/setup/password";

describe("cells", () => {
  it("have an axis that does not blow up noise", () => {
    const [low, high] = axis(3.301, 3.304);
    expect(high - low).toBeGreaterThanOrEqual(0.05);
    expect(low).toBeLessThan(3.301);
    expect(high).toBeGreaterThan(3.304);
  });

  it("have an axis that holds a cell far below the others", () => {
    const [low, high] = axis(2.5, 3.33);
    expect(low).toBeLessThan(2.5);
    expect(high).toBeGreaterThan(3.33);
    expect(axis(0, 3.3)[0]).toBe(0);
  });

  it("keep their numbers beside a missing one", () => {
    const all = cellsOf({ cell_voltages: [3.3, null, 3.2, 3.4], balancing_cells: [4], cell_resistances: [0.1] })!;
    expect(all.cells.map((cell) => cell.number)).toEqual([1, 2, 3, 4]);
    expect(all.cells.find((cell) => cell.lowest)?.number).toBe(3);
    expect(all.cells.find((cell) => cell.highest)?.number).toBe(4);
    expect(all.cells[3]?.balancing).toBe(true);
    expect(all.cells[1]?.voltage).toBeNull();
    expect(all.cells[0]?.resistance).toBe(0.1);
    expect(all.mean).toBeCloseTo(3.3);
    expect(cellsOf({})).toBeNull();
  });

  it("stand in a window of at least 50 mV on the overview", () => {
    const [low, high] = spreadWindow(3.3, 3.31);
    expect(high - low).toBeCloseTo(0.05);
    expect((high + low) / 2).toBeCloseTo(3.305);
  });
});

describe("all packs together", () => {
  const pack = (soc: number, capacity: number, power: number, state: Pack["state"] = "online") =>
    ({ state, problems: ["soc_low", "soc_low"], readings: { soc, full_capacity: capacity, remaining_capacity: (soc * capacity) / 100, power, voltage: 50 } }) as unknown as Pack;

  it("weigh by capacity and leave out what is old", () => {
    const all = totals([pack(100, 100, 500), pack(50, 300, -200), pack(0, 100, 9999, "lost")], (one) => one.state);
    expect(all).toEqual({ power: 300, soc: 62.5, energy: 12.5, online: 2, total: 3, problems: 3 });
  });

  it("know nothing without values", () => {
    expect(totals([], () => "online")).toMatchObject({ power: null, soc: null, energy: null });
  });
});

it("a link's quality counts answers, not bytes", () => {
  const quality = linkQuality({ ok: 90, silent: 8, damaged: 2, dropped: 500, partial: 3 });
  expect(quality).toEqual({ good: 90, bad: [["silent", 8], ["damaged", 2]], share: 90 });
  expect(linkQuality({}).share).toBeNull();
});

describe("the line of the last minutes", () => {
  const moments = [0, 10, 20].map((time) => ({ time, power: time - 10, voltage: null }));
  it("is drawn from edge to edge, with its zero", () => {
    const line = trailLine(moments, "power", 20)!;
    expect(line.path).toMatch(/^M0\.0 .*L300\.0 /);
    expect([line.low, line.high, line.zero]).toEqual([-10, 10, 22]);
  });
  it("is broken where nothing was heard", () => {
    expect(trailLine([...moments, { time: 200, power: 1, voltage: null }], "power", 20)!.path.match(/M/g)).toHaveLength(2);
  });
  it("is not drawn from nothing", () => {
    expect(trailLine(moments, "voltage", 1)).toBeNull();
    expect(trailLine(moments.slice(0, 1), "power", 1)).toBeNull();
  });
});

it("the first password has ten characters, twice the same", () => {
  expect(mistakes({ code: "x", name: "ann", password: "battery-house", repeat: "battery-house" })).toEqual({});
  const wrong = mistakes({ code: " ", name: "", password: "123456789", repeat: "x" });
  expect(Object.keys(wrong)).toEqual(["code", "name", "password", "repeat"]);
  expect(wrong.password).toBe("One more character is needed.");
});
