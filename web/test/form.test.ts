import { expect, test } from "vitest";
import { byField, freeName, onAir, packFaults, packFields, packSettings, typed } from "../src/views/packs/form";
import { mistakeText } from "../src/views/packs/edit";
import { historyFaults, webFaults } from "../src/views/settings/Gateway";
import { passwordFaults } from "../src/views/settings/Users";
import { daysUntilFull, grownADay, hosts, isHost, isPrefix, megabytes, writtenADay } from "../src/views/settings/figures";

const GOOD = { ...packFields({ name: "shed", link: "/dev/ttyUSB0" }) };

test("numbers are read with point or comma, anything else is none", () => {
  expect(["", " 2 ", "2,5", "-.5", "1e3", "2.5.1", "two", "0x10"].map(typed)).toEqual([null, 2, 2.5, -0.5, 1000, NaN, NaN, NaN]);
});

test("a new pack needs a name and a link", () => {
  expect(packFaults(packFields({}), [])).toEqual({ name: { text: "missing" }, link: { text: "missing" } });
  expect(packFaults(GOOD, ["garage"])).toEqual({});
});

test.each([
  [{ name: "garage" }, "name", "taken"],
  [{ name: "a/b" }, "name", "letters"],
  [{ name: "---" }, "name", "letters"],
  [{ name: "x".repeat(65) }, "name", "letters"],
  [{ address: "1.5" }, "address", "whole"],
  [{ address: "256" }, "address", "range"],
  [{ every: "" }, "every", "missing"],
  [{ every: "often" }, "every", "no_number"],
  [{ "limits.charge_voltage": "54" }, "limits.charge_voltage", "range"],
])("%j is refused", (change, key, text) => {
  expect(packFaults({ ...GOOD, ...change } as typeof GOOD, ["garage"])[key]?.text).toBe(text);
});

test("what is left empty of a new pack is not sent", () => {
  const fields = { ...packFields({ name: " shed ", link: "/dev/ttyUSB0" }), "limits.chemistry": "lfp", "limits.charge_current": "50,5" };
  expect(packSettings(fields, null)).toEqual({
    name: "shed", link: "/dev/ttyUSB0", every: 2, limits: { chemistry: "lfp", charge_current: 50.5 },
  });
});

test("what may be done to a pack is sent once it is more than reading, and when it was", () => {
  expect(packSettings({ ...GOOD, grant: "configure" }, null).grant).toBe("configure");
  expect(packSettings({ ...GOOD, grant: "read" }, { name: "shed", link: "x", grant: "operate" }).grant).toBe("read");
  expect("grant" in packSettings(GOOD, null)).toBe(false);
});

test("what is emptied is taken away, what the form does not show is left alone", () => {
  const before = { name: "shed", link: "/dev/ttyUSB0", grant: "operate" as const, address: 3, capacity: 100, invert_current: true, limits: { chemistry: "lfp" as const, charge_voltage: 3.45 } };
  const fields = { ...packFields(before), capacity: "", invert_current: false, "limits.charge_voltage": "" };
  expect(packSettings(fields, before)).toEqual({
    name: "shed", link: "/dev/ttyUSB0", address: 3, every: 2, grant: "operate", invert_current: false, capacity: null, limits: { chemistry: "lfp", charge_voltage: null },
  });
});

test("pairing and the number are for packs by Bluetooth, and a number that is known is never asked back", () => {
  expect(onAir("ble:C8:47:8C:00:00:01") && onAir(" aiobmsble:C8478C000001")).toBe(true);
  expect(onAir("/dev/ble") || onAir("tcp:ble:1")).toBe(false);
  const before = { name: "shed", link: "ble:C8:47:8C:00:00:01", pairing: "passkey" };
  expect(packSettings(packFields(before), before)).toEqual({ ...before, every: 2 });
  expect(packSettings({ ...packFields(before), pairing: "never", pin: " 123456 " }, before)).toEqual({ ...before, every: 2, pairing: "never", pin: "123456" });
  expect("pairing" in packSettings(GOOD, null)).toBe(false);
});

test("mistakes of the gateway find their field", () => {
  const mistake = (key: string) => ({ line: 1, key, problem: "p", fix: "f" });
  const found = byField(
    ["pack.every", "pack[2].limits.chemistry", "charge_current", "pack.colour"].map(mistake),
    Object.keys(GOOD),
  );
  expect(Object.keys(found)).toEqual(["every", "limits.chemistry", "limits.charge_current", ""]);
});

test("mistakes are told as sentences, whatever they end with", () => {
  const text = mistakeText({ line: 1, key: "pack.link", problem: "'x' is no link", fix: "write serial:/dev/...?baud=9600, or tcp:host:port" });
  expect(text).toBe("'x' is no link. Write serial:/dev/...?baud=9600, or tcp:host:port.");
});

test("settings of the history and the page are checked before they are sent", () => {
  const good = { every: "5", commit: "10", keep_raw: "730", keep_minutes: "1826", size: "4000" };
  expect(historyFaults(good)).toEqual({});
  expect(historyFaults({ ...good, every: "", commit: "0", keep_minutes: "30" })).toMatchObject({
    every: { text: "missing" }, commit: { text: "range" }, keep_minutes: { text: "order", low: 730 },
  });
  expect(webFaults({ hosts: "a.lan", prefix: "/x" })).toEqual({});
  expect(webFaults({ hosts: "http://a", prefix: "x" })).toMatchObject({ hosts: { text: "host" }, prefix: { text: "prefix" } });
});

test("a new password is long enough, repeated, and not the name", () => {
  expect(passwordFaults({ password: "three words here", repeat: "three words here" }, "ann")).toEqual({});
  expect(passwordFaults({ password: "short", repeat: "" }, "ann")).toMatchObject({ password: { text: "short" }, repeat: { text: "different" } });
  expect(passwordFaults({ password: "Administrator", repeat: "Administrator" }, "administrator").password?.text).toBe("name");
});

test("a found pack gets a name that nobody has", () => {
  expect(freeName("jk-pb", [])).toBe("jk");
  expect(freeName("jk-pb", ["jk", "jk-2"])).toBe("jk-3");
});

test("figures of the history", () => {
  expect(grownADay(5, 4)).toBeCloseTo(1.5, 1);
  expect(writtenADay(10, 4)).toBe(205);
  expect(writtenADay(10, 1)).toBe(51.25);
  expect(writtenADay(20, 4)).toBeGreaterThan(87);
  expect(writtenADay(20, 4)).toBeLessThan(205);
  expect(writtenADay(9000, 4)).toBe(9);
  expect(megabytes(0.44)).toBe("0.4 MB");
  expect(megabytes(4000)).toBe("4.0 GB");
  expect(daysUntilFull(4000, 2)).toBe(2000);
  expect(daysUntilFull(4000, 0)).toBe(Infinity);
});

test("hosts", () => {
  expect(hosts(" a.lan, b\n c ")).toEqual(["a.lan", "b", "c"]);
  expect(["a.lan", "[fe80::1]", "10.0.0.1"].every(isHost)).toBe(true);
  expect(["http://a", "a b", "a:80", "a/b", ""].some(isHost)).toBe(false);
  expect(["", "/cellwire", "/a/b"].every(isPrefix)).toBe(true);
  expect(["/", "cellwire", "/a/", "/a b"].some(isPrefix)).toBe(false);
});
