import { beforeEach, describe, expect, it } from "vitest";
import type { Bank, Pack } from "../src/api";
import { ageOf, banks, downSince, events, packNamed, packs, Parser, pause, seconds, stateOf, stream, take, tick, trails } from "../src/live";

const pack = (more: Partial<Pack> = {}): Pack => ({
  pack: "shed",
  family: "jk",
  dialect: "jk-pb",
  address: 1,
  id: "jk-1",
  time: "2026-11-21T10:00:00.000Z",
  age: 0.5,
  state: "online",
  readings: { voltage: 52, power: -100 },
  problems: [],
  every: 2,
  ...more,
});

const come = (more: Partial<Pack> = {}) => take("pack", JSON.stringify(pack(more)));

beforeEach(() => {
  packs.value = [];
  banks.value = [];
  events.value = [];
  trails.value = {};
  stream.value = "live";
  tick.value = seconds();
});

describe("the text of the stream", () => {
  const text = 'retry: 2000\n\nevent: pack\ndata: {"a":1}\n\n: \n\nevent: health\r\ndata: {\r\ndata: "b":2}\r\n\r\n';
  const wanted = [
    ["pack", '{"a":1}'],
    ["health", '{\n"b":2}'],
  ];

  it.each([1, 3, 7, 1000])("is understood in pieces of %d", (size) => {
    const heard: string[][] = [];
    const parser = new Parser((kind, data) => heard.push([kind, data]));
    for (let at = 0; at < text.length; at += size) parser.feed(text.slice(at, at + size));
    expect(heard).toEqual(wanted);
  });
});

describe("packs", () => {
  it("keep their place, and what the stream leaves out", () => {
    come({ changed: { voltage: 1 } });
    come({ pack: "garage", id: "jk-2" });
    come({ readings: { voltage: 53 } });
    expect(packs.value.map((one) => one.pack)).toEqual(["shed", "garage"]);
    expect(packNamed("shed")?.readings.voltage).toBe(53);
    expect(packNamed("shed")?.changed).toEqual({ voltage: 1 });
  });

  it("forget a reason that is over", () => {
    come({ state: "lost", reason: "no answer" });
    come();
    expect(packNamed("shed")?.reason).toBeUndefined();
  });

  it("grow older each second, and are old after three intervals", () => {
    come();
    const kept = packNamed("shed")!;
    expect(stateOf(kept)).toBe("online");
    tick.value = kept.got + 4;
    expect(ageOf(kept)).toBeCloseTo(4.5);
    expect(stateOf(kept)).toBe("online");
    tick.value = kept.got + 8;
    expect(stateOf(kept)).toBe("stale");
  });

  it("are old while the gateway is away", () => {
    come();
    stream.value = "down";
    downSince.value = tick.value;
    expect(stateOf(packNamed("shed")!)).toBe("online");
    tick.value += 4;
    expect(stateOf(packNamed("shed")!)).toBe("stale");
  });

  it("without any value have no age", () => {
    come({ age: undefined, time: undefined, state: "stale" });
    expect(ageOf(packNamed("shed")!)).toBeNull();
    expect(stateOf(packNamed("shed")!)).toBe("stale");
  });

  it("leave a trail of fresh values, ten minutes long, each once", () => {
    come();
    come();
    come({ time: "2026-11-21T10:05:00.000Z" });
    come({ time: "2026-11-21T10:06:00.000Z", state: "lost" });
    expect(trails.value["shed"]).toHaveLength(2);
    come({ time: "2026-11-21T10:11:00.000Z" });
    expect(trails.value["shed"]).toHaveLength(2);
  });
});

it("banks are as old as the gateway says", () => {
  const bank: Bank = { bank: "house", id: "bank-house", packs: ["shed"], present: 1, missing: {}, age: 1, state: "partial", readings: {}, problems: [], warnings: [] };
  take("bank", JSON.stringify(bank));
  expect(stateOf(banks.value[0]!)).toBe("partial");
});

it("events come newest first", () => {
  take("event", JSON.stringify({ time: 1, kind: "start", text: "a", pack: "", name: "", detail: {} }));
  take("event", JSON.stringify({ time: 2, kind: "stop", text: "b", pack: "", name: "", detail: {} }));
  expect(events.value.map((event) => event.text)).toEqual(["b", "a"]);
});

it("waits longer with every failure, but never long", () => {
  expect([1, 2, 3, 4, 5, 6, 20].map(pause)).toEqual([0.5, 1, 2, 4, 8, 15, 15]);
});
