/** What stands in the forms for packs and banks, and what is sent of it. Fields hold text, as typed. */

import type { Mistake, PackSettings } from "../../api";

export type Fields = Record<string, string | boolean>;

/** The fields of a pack's form; every key is also the name of a text. */
export function packFields(pack: Partial<PackSettings>): Fields {
  const text = (value: number | null | undefined): string => (value === null || value === undefined ? "" : String(value));
  return {
    name: pack.name ?? "",
    link: pack.link ?? "",
    family: pack.family ?? "",
    address: text(pack.address),
    every: text(pack.every ?? 2),
    grant: pack.grant ?? "read",
    invert_current: pack.invert_current ?? false,
    capacity: text(pack.capacity),
    pairing: pack.pairing ?? "never",
    pin: "",
    "limits.chemistry": pack.limits?.chemistry ?? "",
    "limits.charge_current": text(pack.limits?.charge_current),
    "limits.discharge_current": text(pack.limits?.discharge_current),
    "limits.charge_voltage": text(pack.limits?.charge_voltage),
  };
}

/** Return the number a person typed, with a comma or a point; NaN when it is none, null when nothing stands there. */
export function typed(value: string | boolean | undefined): number | null {
  const text = String(value ?? "").trim().replace(",", ".");
  if (text === "") return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
}

// key, lowest, highest, whole
const NUMBERS: readonly (readonly [string, number, number, boolean])[] = [
  ["address", 0, 255, true],
  ["every", 0.2, 3600, false],
  ["capacity", 0.1, 100000, false],
  ["limits.charge_current", 0.1, 10000, false],
  ["limits.discharge_current", 0.1, 10000, false],
  ["limits.charge_voltage", 1.5, 4.4, false],
];

/** Why a field cannot stay so: the name of a text, with its numbers. */
export interface Fault {
  text: "missing" | "taken" | "no_number" | "whole" | "range" | "letters" | "few_packs" | "different" | "short" | "host" | "prefix" | "user_name" | "name" | "order" | "length" | "ascii";
  low?: number;
  high?: number;
}

export type Faults = Record<string, Fault>;

/** Return what is wrong with a pack's fields before they are sent; `taken` are the names of the others. */
export function packFaults(fields: Fields, taken: readonly string[]): Faults {
  const faults: Faults = nameFault(fields, taken);
  if (String(fields.link).trim() === "") faults.link = { text: "missing" };
  for (const [key, low, high, whole] of NUMBERS) {
    const fault = numberFault(fields[key], low, high, whole);
    if (fault) faults[key] = fault;
  }
  if (String(fields.every).trim() === "") faults.every = { text: "missing" };
  return faults;
}

const LONGEST_NAME = 64;

/** Return what is wrong with the name; it stands in addresses of pages, so a slash is not for it. */
export function nameFault(fields: Fields, taken: readonly string[]): Faults {
  const name = String(fields.name).trim();
  if (name === "") return { name: { text: "missing" } };
  const plain = /^[\p{L}\p{N} ._-]+$/u.test(name) && /[\p{L}\p{N}]/u.test(name);
  if (!plain || name.length > LONGEST_NAME) return { name: { text: "letters" } };
  return taken.includes(name) ? { name: { text: "taken" } } : {};
}

export function numberFault(
  value: string | boolean | undefined,
  low: number,
  high: number,
  whole = false,
): Fault | undefined {
  const number = typed(value);
  if (number === null) return undefined;
  if (Number.isNaN(number)) return { text: "no_number" };
  if (whole && !Number.isInteger(number)) return { text: "whole" };
  return number < low || number > high ? { text: "range", low, high } : undefined;
}

/** Return the settings to send: null takes a key away that stood there before, what the form does not show stays. */
export function packSettings(fields: Fields, before: Partial<PackSettings> | null): PackSettings {
  const kept = <T>(value: T | null, known: unknown): T | null | undefined => (value !== null ? value : known !== undefined && known !== null && known !== "" ? null : undefined);
  const word = (key: string): string | null => String(fields[key] ?? "").trim() || null;
  const old = before?.limits ?? {};
  const limits = defined({
    chemistry: kept(word("limits.chemistry"), old.chemistry),
    charge_current: kept(typed(fields["limits.charge_current"]), old.charge_current),
    discharge_current: kept(typed(fields["limits.discharge_current"]), old.discharge_current),
    charge_voltage: kept(typed(fields["limits.charge_voltage"]), old.charge_voltage),
  });
  const settings = {
    name: word("name"),
    link: word("link"),
    family: kept(word("family"), before?.family),
    address: kept(typed(fields.address), before?.address),
    every: typed(fields.every),
    grant: before?.grant || fields.grant !== "read" ? fields.grant : undefined,
    invert_current: fields.invert_current || before?.invert_current ? fields.invert_current : undefined,
    capacity: kept(typed(fields.capacity), before?.capacity),
    pairing: before?.pairing || fields.pairing !== "never" ? fields.pairing : undefined,
    pin: word("pin") ?? undefined,
    limits: Object.keys(limits).length > 0 ? limits : undefined,
  };
  return defined(settings) as unknown as PackSettings;
}

function defined<T extends object>(from: T): Partial<T> {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Return the gateway's mistakes by the field they belong to; "" holds those without one. */
export function byField(mistakes: readonly Mistake[], keys: readonly string[]): Record<string, Mistake[]> {
  const found: Record<string, Mistake[]> = {};
  for (const mistake of mistakes) {
    const bare = mistake.key.replace(/\[\d*\]/g, "").replace(/^(pack|bank|web|history|mqtt|modbus)\.(?:\d+\.)?/, "");
    const last = bare.split(".").at(-1) ?? "";
    const key = [bare, `limits.${last}`, last].find((one) => keys.includes(one)) ?? "";
    found[key] = [...(found[key] ?? []), mistake];
  }
  return found;
}

/** Return whether a link goes by radio. */
export function onAir(link: string): boolean {
  return /^\s*(ble|aiobmsble):/.test(link);
}

/** Return a name for a found pack that nobody has yet: jk, jk-2, ... */
export function freeName(family: string, taken: readonly string[]): string {
  const base = family.split("-")[0] || "pack";
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.includes(name)) return name;
  }
}
