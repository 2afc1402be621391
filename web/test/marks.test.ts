process.env.TZ = "Europe/Berlin";
import { expect, test } from "vitest";
import { marks, sortOf, type Happening } from "../src/views/history/marks";
import { stretch, tickLabels } from "../src/views/history/ticks";
import { byDay, csv, details, GATEWAY, keyOf, lastings, merged, passes, readFilter, writeFilter } from "../src/views/events/list";

const event = (time: number, kind: string, detail: Record<string, unknown> = {}, pack = "jk-1"): Happening => ({
  time, kind, text: `${kind} ${time}`, pack, name: "shed", detail,
});

test("near events share a mark that is as bad as the worst of them", () => {
  const found = marks([event(50, "state"), event(52, "alarm_on"), event(90, "start"), event(200, "stop")], 0, 100, 100, 10);
  expect(found.map((mark) => [mark.x, mark.sort, mark.events.length])).toEqual([[50, "alarms", 2], [90, "gateway", 1]]);
});

test("every kind has a sort", () => {
  expect(["alarm_off", "bank", "command", "refused", "new one"].map(sortOf)).toEqual(["alarms", "states", "changes", "gateway", "gateway"]);
});

test("an alarm lasts until it ends, a lost pack until it is back", () => {
  const on = event(10, "alarm_on", { alarm: "cell_undervoltage" });
  const off = event(40, "alarm_off", { alarm: "cell_undervoltage" });
  const again = event(60, "alarm_on", { alarm: "cell_undervoltage" });
  const lost = event(70, "state", { state: "lost" });
  const back = event(85, "state", { state: "online" });
  const found = lastings([back, lost, again, off, on], 100);
  expect(found.get(keyOf(on))).toEqual({ seconds: 30, end: 40 });
  expect(found.get(keyOf(again))).toEqual({ seconds: 40, end: null });
  expect(found.get(keyOf(lost))).toEqual({ seconds: 15, end: 85 });
});

test("an alarm of one pack is not ended by the other's", () => {
  const on = event(10, "alarm_on", { alarm: "a" });
  const found = lastings([event(20, "alarm_off", { alarm: "a" }, "other"), event(15, "alarm_off", { alarm: "b" }), on], 100);
  expect(found.get(keyOf(on))).toEqual({ seconds: 90, end: null });
});

test("what came twice is listed once, newest first", () => {
  const [old, young] = [event(1, "start"), event(2, "stop")];
  expect(merged([old], [young, old])).toEqual([young, old]);
});

test("filters by pack and sort, and stands in the address", () => {
  const filter = readFilter(new URLSearchParams("of=jk-1&kind=alarms"));
  expect(passes(event(1, "alarm_on"), filter)).toBe(true);
  expect(passes(event(1, "state"), filter)).toBe(false);
  expect(passes(event(1, "alarm_on", {}, "other"), filter)).toBe(false);
  expect(writeFilter(filter)).toBe("of=jk-1&kind=alarms");
  expect(passes(event(1, "start", {}, ""), { of: GATEWAY, sort: "" })).toBe(true);
  expect(passes(event(1, "state"), { of: GATEWAY, sort: "" })).toBe(false);
});

test("CSV keeps quotes and lets no formula through", () => {
  const one = { ...event(0, "alarm_on"), text: 'said "=1+1"', name: "=cmd()" };
  expect(csv([one])).toBe('time,kind,name,id,text\n"1970-01-01T00:00:00.000Z","alarm_on","\'=cmd()","jk-1","said ""=1+1"""\n');
});

test("details are words", () => {
  expect(details(event(0, "state", { to: "lost", seconds: 3.5, reason: "", who: ["a", "b"], more: { x: 1 } }))).toEqual([
    ["to", "lost"], ["seconds", "3.5"], ["who", "a, b"], ["more", '{"x":1}'],
  ]);
});

test("events are grouped by day", () => {
  const found = byDay([event(3, "a"), event(2, "b"), event(1, "c")], (time) => (time > 1 ? "today" : "before"));
  expect(found.map(([day, events]) => [day, events.length])).toEqual([["today", 2], ["before", 1]]);
});

test("the axis names the date where it changes", () => {
  const at = (text: string): number => new Date(text).getTime() / 1000;
  expect(tickLabels([at("2026-11-20T18:00"), at("2026-11-21T00:00"), at("2026-11-21T06:00")], 21600)).toEqual(
    ["18:00\n20 Nov", "00:00\n21 Nov", "06:00"],
  );
  expect(tickLabels([at("2026-12-31T00:00"), at("2027-01-01T00:00")], 86400)).toEqual(["31 Dec\n2026", "1 Jan\n2027"]);
  expect(tickLabels([at("2026-12-01T00:00"), at("2027-01-01T00:00")], 30 * 86400)).toEqual(["Dec\n2026", "Jan\n2027"]);
  expect(stretch(at("2026-11-20T18:00"), at("2026-11-20T20:00"))).toBe("20 Nov 2026, 18:00 – 20:00");
  expect(stretch(at("2026-11-20T18:00"), at("2026-11-21T20:00"))).toBe("20 Nov, 18:00 – 21 Nov 2026, 20:00");
});
