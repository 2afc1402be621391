import { describe, expect, it } from "vitest";
import { age, bitsOf, bytes, energy, fixed, flow, moment, powerOf, readingLabel, severity, span, valueText, watts, words } from "../src/format";

const row = (name: string, quantity: string, unit = "", decimals = 0) => ({ name, quantity, unit, decimals, kind: "measurement" as const, group: "pack", meaning: "" });

describe("numbers", () => {
  it.each([
    [52.4312, 2, "52.43"],
    [-1.25, 1, "−1.3"],
    [-0.001, 2, "0.00"],
    [12345.6, 1, "12\u202f345.6"],
    [9999, 0, "9999"],
    [0, 1, "0.0"],
  ])("%d with %d decimals is %s", (value, decimals, text) => expect(fixed(value, decimals)).toBe(text));

  it("changes from W to kW and from Wh to kWh", () => {
    expect(watts(9999)).toBe("9999\u202fW");
    expect(watts(-15500)).toBe("−15.5\u202fkW");
    expect(watts(null)).toBe("–");
    expect(energy(0.25)).toBe("250\u202fWh");
    expect(energy(812.44)).toBe("812.4\u202fkWh");
    expect(bytes(52428800)).toBe("52.4\u202fMB");
  });
});

describe("times", () => {
  it.each([
    [0, "0 s"],
    [59, "59 s"],
    [300, "5 min"],
    [3600, "1 h"],
    [3600 + 1200, "1 h 20 min"],
    [50000, "13 h"],
    [86400 * 2 + 3 * 3600, "2 d 3 h"],
    [86400 * 40, "40 d"],
  ])("%d s is %s", (seconds, text) => expect(span(seconds)).toBe(text));

  it("names the day only when it is not today", () => {
    const noon = new Date(2026, 10, 21, 12, 5).getTime() / 1000;
    expect(moment(noon, noon + 3600)).toBe("12:05");
    expect(moment(noon, noon + 86400)).toBe("21 Nov, 12:05");
    expect(moment(noon, noon + 200 * 86400)).toBe("21 Nov 2026, 12:05");
  });

  it("does not flicker between tenths", () => {
    expect(age(1.9)).toBe("1 s");
    expect(age(null)).toBe("never");
  });
});

describe("names and values of the catalogue", () => {
  it("writes names as people do", () => {
    expect(words("charge_mosfet")).toBe("Charge MOSFET");
    expect(readingLabel("soc")).toBe("State of charge");
    expect(readingLabel("cell_voltages.3")).toBe("Cell voltages 3");
  });

  it("shows values by their quantity", () => {
    expect(valueText(true, row("balancing", "flag"))).toBe("on");
    expect(valueText(0x1004, row("alarm_bits", "bits"))).toBe("0x1004");
    expect(valueText(4800, row("time_to_full", "countdown", "s"))).toBe("1 h 20 min");
    expect(valueText(21.44, row("mosfet_temperature", "temperature", "degC", 1))).toBe("21.4\u202f°C");
    expect(valueText([3.3, null], row("cell_voltages", "cell_voltage", "V", 3))).toBe("3.300\u202fV  –");
    expect(valueText([], row("warnings", "names"))).toBe("none");
    expect(valueText(undefined)).toBe("–");
  });

  it("finds bits beyond the thirty-second", () => {
    expect(bitsOf(0x1004)).toEqual([2, 12]);
    expect(bitsOf(2 ** 40 + 1)).toEqual([0, 40]);
    expect(bitsOf(0)).toEqual([]);
  });
});

describe("readings", () => {
  it("tells the way of the current", () => {
    expect(flow({ current: 1 })).toBe("in");
    expect(flow({ current: -1 })).toBe("out");
    expect(flow({ current: 0.01 })).toBe("idle");
    expect(flow({})).toBe("unknown");
  });

  it("works out power where the BMS does not say it", () => {
    expect(powerOf({ readings: { voltage: 50, current: -2 } })).toBe(-100);
    expect(powerOf({ readings: { voltage: 50 } })).toBeNull();
  });

  it("takes the worst list that an alarm is in", () => {
    expect(severity({ faults: ["clock"], warnings: ["clock"] }, "clock")).toBe("fault");
    expect(severity({ protections: ["soc_low"] }, "soc_low")).toBe("protection");
    expect(severity({}, "soc_low")).toBe("warning");
  });
});
