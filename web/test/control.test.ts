import { expect, test } from "vitest";
import type { Command } from "../src/api";
import { measured } from "../src/views/control/Calibration";
import { undoing } from "../src/views/control/Doing";
import { taken } from "../src/views/control/Journal";
import { agesOf, asTyped, canUndo, changesOf, eachOne, faultOf, grouped, label, range, sentence, settingOf, shared, shown } from "../src/views/control/values";
import { isOn } from "../src/views/pack/Switches";

function row(command: string, more: Partial<Command> = {}): Command {
  return { command, kind: "number", group: "protection", meaning: "", grant: "configure", proof: "agreed", ...more };
}

const LIMIT = row("cell_overvoltage_limit", { unit: "V", decimals: 3, low: 2.5, high: 4.3, step: 0.001, value: 3.65 });
const SWITCH = row("charge_switch", { kind: "switch", group: "switches", value: true });
const TEXT = row("barcode", { kind: "text", group: "other", low: 0, high: 4, value: "abc" });
const WORD = row("battery_type", { kind: "choice", group: "other", words: ["LFP", "LTO"] });
const PIN = row("pin", { kind: "text", secret: true, low: 4, high: 4 });

test("values are shown with as many decimals as can be set, and all that they have", () => {
  expect(shown(3.6, LIMIT)).toBe("3.600\u202fV");
  expect(shown(2, row("delay", { unit: "s", decimals: 6, step: 1 }))).toBe("2\u202fs");
  expect(shown(0.00007, row("delay", { unit: "s", decimals: 6, step: 1 }))).toBe("0.00007\u202fs");
  expect(shown(-10, row("t", { unit: "degC", step: 0.1 }))).toBe("\u221210.0\u202f°C");
  expect([true, false, "LFP", "", null, undefined].map((value) => shown(value, WORD))).toEqual(["on", "off", "LFP", "–", "not known", "not known"]);
  expect(shown("1234", PIN)).toBe("not shown");
  expect([range(LIMIT), range(TEXT), range(SWITCH)]).toEqual(["2.5 to 4.3\u202fV", "0 to 4 characters", ""]);
});

test("what is typed is checked before it is sent", () => {
  const faults = ["3,6", "", "x", "4.31", "2.4"].map((text) => faultOf(LIMIT, text)?.text);
  expect(faults).toEqual([undefined, "missing", "no_number", "range", "range"]);
  expect(["", "abcde", "äh", "ok"].map((text) => faultOf(TEXT, text)?.text)).toEqual([undefined, "length", "ascii", undefined]);
  expect([faultOf(SWITCH, ""), faultOf(SWITCH, "off"), faultOf(WORD, "LTO")].map((fault) => fault?.text)).toEqual(["missing", undefined, undefined]);
});

test("what is sent has the type of the command", () => {
  const pending = { charge_switch: "off", cell_overvoltage_limit: "3,6", barcode: "7", gone: "1" };
  expect(changesOf([LIMIT, SWITCH, TEXT], pending)).toEqual({ cell_overvoltage_limit: 3.6, charge_switch: false, barcode: "7" });
  for (const [one, value] of [[LIMIT, 3.65], [SWITCH, true], [SWITCH, false], [TEXT, "abc"]] as const) expect(settingOf(one, asTyped(value))).toBe(value);
});

test("what several sensors have gets a row for each that was read", () => {
  const rows = eachOne([row("sensor_enabled", { kind: "switch", count: 3, value: [true, null, false] }), row("unread", { count: 8 }), LIMIT]);
  expect(rows.map(({ command, value }) => [command, value])).toEqual([["sensor_enabled/1", true], ["sensor_enabled/3", false], ["cell_overvoltage_limit", 3.65]]);
  expect(label("sensor_enabled/3")).toBe("Sensor enabled 3");
  expect(changesOf(rows, { "sensor_enabled/3": "on" })).toEqual({ "sensor_enabled/3": true });
});

test("groups keep their order", () => {
  expect(grouped([SWITCH, LIMIT, TEXT, WORD]).map(([group, rows]) => [group, rows.length])).toEqual([["switches", 1], ["protection", 1], ["other", 2]]);
  expect(agesOf([LIMIT])).toBe(null);
  expect(agesOf([row("a", { age: 3 }), row("b", { age: 1 }), LIMIT])).toEqual([1, 3]);
});

test("sentences of the gateway call commands as the page does", () => {
  const text = "cell_overvoltage_limit: 3.6 has to be above hidden_thing";
  expect(sentence(text, [LIMIT], "cell_overvoltage_limit")).toBe("3.6 has to be above hidden_thing");
  expect(sentence("not tried, because cell_overvoltage_limit cannot be done", [LIMIT])).toBe("not tried, because “Cell overvoltage limit” cannot be done");
  expect(shared([["a", "b"], ["b"], ["c", "c"]])).toEqual(["b"]);
});

test("only what changed something, and is known, can be written back", () => {
  const done = { entry: 7, command: "x", before: 1, wanted: 2, result: "done" as const };
  expect(canUndo(done)).toBe(true);
  for (const change of [{ result: "refused" as const }, { before: 2 }, { before: undefined }, { before: "***" }, { entry: 0 }, { command: "calibrate_cell/3" }]) {
    expect(canUndo({ ...done, ...change } as typeof done)).toBe(false);
  }
  const job = undoing([done, { ...done, entry: 8, command: "y", before: false }]);
  expect([job.changes, job.undo]).toEqual([{ y: false, x: 1 }, [8, 7]]);
  expect([...taken([{ entry: 9, undo: 7, result: "done" }, { entry: 10, undo: 8, result: "refused" }])]).toEqual([7]);
});

test("a switch offers what it is not; both when nobody knows", () => {
  const unread = row("charge_switch", { kind: "switch" });
  expect(isOn(unread, {}, null)).toBe(null);
  expect(isOn(unread, {}, true)).toBe(true);
  expect(isOn(unread, {}, false)).toBe(null); // a protection may block
  expect(isOn(unread, { charge_switch: false }, false)).toBe(false);
  expect(isOn(SWITCH, {}, false)).toBe(true);
  expect(isOn({ ...SWITCH, value: false }, {}, true)).toBe(null);
});

test("only cells that the pack has are calibrated", () => {
  const cells = row("calibrate_cell", { count: 32, reading: "cell_voltages", value: [3.3] });
  expect(measured(cells, { readings: { cell_voltages: [3.31, 3.32] } })).toEqual([3.31, 3.32]);
  expect(measured(cells, { readings: {} })).toEqual([3.3]);
  expect(measured(row("calibrate_sensor", { count: 2 }), { readings: {} })).toEqual([]);
});
