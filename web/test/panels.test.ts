import { expect, test } from "vitest";
import { ordered } from "../src/views/history/asked";
import { choices, columnsOf, panels, type Reading, type Stored } from "../src/views/history/panels";

const reading = (name: string, unit: string, quantity: string, group = "pack", kind: Reading["kind"] = "measurement"): Reading => ({
  name, unit, quantity, group, kind, decimals: 2,
});

const CATALOGUE = new Map(
  [
    reading("power", "W", "power"),
    reading("voltage", "V", "pack_voltage"),
    reading("current", "A", "current"),
    reading("soc", "%", "percent"),
    reading("cell_voltages", "V", "cell_voltage", "cells", "list"),
    reading("cell_delta", "V", "cell_difference", "cells"),
    reading("cell_min", "V", "cell_voltage", "cells"),
    reading("cell_max", "V", "cell_voltage", "cells"),
    reading("discharge_current_limit", "A", "current", "limits"),
    reading("pack_state", "", "text", "pack", "text"),
  ].map((one) => [one.name, one]),
);

const pack = (id: string, ...columns: string[]): Stored => ({ id, name: id, first: 0, last: 1, columns });
const ONE = pack("one", "power", "voltage", "current", "cell_voltages.10", "cell_voltages.2", "cell_delta", "pack_state");
const TWO = pack("two", "power", "voltage", "current", "cell_voltages.1");
const BANK = pack("bank-house", "power", "cell_min", "cell_max", "discharge_current_limit");

test("cells are in the order of their numbers", () => {
  expect(columnsOf("cell_voltages", ONE)).toEqual(["cell_voltages.2", "cell_voltages.10"]);
});

test("voltage and current of one pack share a chart with two axes", () => {
  const [only, ...more] = panels("pack", [ONE], CATALOGUE);
  expect(more).toEqual([]);
  expect(only!.units).toEqual(["V", "A"]);
});

test("several packs are laid over each other, a chart for each unit", () => {
  const found = panels("pack", [ONE, TWO], CATALOGUE);
  expect(found.map((one) => one.lines.map((line) => `${line.pack} ${line.column}`))).toEqual([
    ["one voltage", "two voltage"],
    ["one current", "two current"],
  ]);
});

test("cells of several packs get a chart each", () => {
  const found = panels("cells", [ONE, TWO], CATALOGUE);
  expect(found.map((one) => one.pack)).toEqual(["one", "two", ""]);
});

test("a bank shows the extremes of its cells, and its limit below zero", () => {
  expect(panels("cells", [BANK], CATALOGUE)[0]!.lines.map((line) => line.column)).toEqual(["cell_min", "cell_max"]);
  expect(panels("limits", [BANK], CATALOGUE)[0]!.lines[0]!.sign).toBe(-1);
});

test("own choice: what is measured alike in one chart, two units of one pack on two axes", () => {
  expect(panels("voltage,soc,nonsense", [ONE], CATALOGUE).map((one) => one.units)).toEqual([["V"]]);
  expect(panels("voltage,current", [ONE], CATALOGUE).map((one) => one.units)).toEqual([["V", "A"]]);
  expect(panels("voltage,cell_delta", [ONE], CATALOGUE)).toHaveLength(2);
  expect(panels("discharge_current_limit", [BANK], CATALOGUE)[0]!.lines[0]!.sign).toBe(1);
});

test("a pack without the readings has no chart", () => {
  expect(panels("charge", [TWO], CATALOGUE)).toEqual([]);
});

test("packs stand as in the configuration, those that are gone last", () => {
  const stored = ["zeppelin", "van", "shed", "attic"].map((id) => pack(id));
  expect(ordered(stored, ["shed", "van"]).map((one) => one.id)).toEqual(["shed", "van", "attic", "zeppelin"]);
});

test("what can be chosen is what is stored and is a number", () => {
  expect(choices([ONE], CATALOGUE).map(([group, all]) => [group, all.map((one) => one.name)])).toEqual([
    ["pack", ["power", "voltage", "current"]],
    ["cells", ["cell_voltages", "cell_delta"]],
  ]);
});
