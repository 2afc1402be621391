/** Numbers, times and names as people read them. */
import type { CatalogueReading, Pack, Readings, Value } from "./api";
import { t, textOr } from "./texts";

const THIN = "\u202f"; // narrow space that does not break, between a number and its unit
const MINUS = "\u2212";

/** Return the reading as a number, or null when it is not there. */
export function number(readings: Readings, name: string): number | null {
  const value = readings[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Return the reading as a list of numbers, with null where an element is missing. */
export function numbers(readings: Readings, name: string): (number | null)[] {
  const value = readings[name];
  return Array.isArray(value) ? value.map((item) => (typeof item === "number" ? item : null)) : [];
}

/** Return the reading as a flag, or null when it is not there. */
export function flag(readings: Readings, name: string): boolean | null {
  const value = readings[name];
  return typeof value === "boolean" ? value : typeof value === "number" ? value !== 0 : null;
}

/** Return the reading as text, "" when it is not there. */
export function text(readings: Readings, name: string): string {
  const value = readings[name];
  return typeof value === "string" ? value : "";
}

/** Return the number with a fixed count of decimals, a real minus sign, and groups of thousands. */
export function fixed(value: number, decimals: number): string {
  const rounded = Math.abs(value) < 0.5 / 10 ** decimals ? 0 : value;
  const words = Math.abs(rounded).toFixed(decimals);
  const [whole = "", rest] = words.split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole;
  return (rounded < 0 ? MINUS : "") + grouped + (rest ? "." + rest : "");
}

/** Return number and unit, "–" when there is none. */
export function quantity(value: number | null, unit: string, decimals: number): string {
  return value === null ? "–" : fixed(value, decimals) + (unit ? THIN + unit : "");
}

export const volts = (value: number | null, decimals = 2): string => quantity(value, "V", decimals);
export const amperes = (value: number | null): string => quantity(value, "A", value !== null && Math.abs(value) >= 100 ? 0 : 1);
export const percent = (value: number | null, decimals = 0): string => quantity(value, "%", decimals);
export const celsius = (value: number | null, decimals = 0): string => quantity(value, "°C", decimals);
export const millivolts = (value: number | null): string => quantity(value === null ? null : value * 1000, "mV", 0);

/** Return a power as W below 10 kW, else kW. */
export function watts(value: number | null): string {
  if (value === null) return "–";
  return Math.abs(value) >= 10000 ? quantity(value / 1000, "kW", 1) : quantity(value, "W", 0);
}

/** Return an energy given in kWh, with as many decimals as it deserves. */
export function energy(kwh: number | null): string {
  if (kwh === null) return "–";
  if (Math.abs(kwh) < 1) return quantity(kwh * 1000, "Wh", 0);
  return Math.abs(kwh) >= 10000 ? quantity(kwh / 1000, "MWh", 2) : quantity(kwh, "kWh", Math.abs(kwh) < 100 ? 2 : 1);
}

/** Return a byte count as kB, MB or GB. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (count >= 1000 && step < units.length - 1) {
    count /= 1000;
    step += 1;
  }
  return quantity(count, units[step] ?? "", step && count < 100 ? 1 : 0);
}

/** Return a span of seconds in its two largest units: "3 d 4 h", "12 min", "8 s". */
export function span(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 99.5) return t("unit.second", { n: s < 9.95 && s % 1 >= 0.05 && s < 2 ? s.toFixed(1) : Math.round(s) });
  if (s < 3600) return t("unit.minute", { n: Math.round(s / 60) });
  const two = (large: number, largeText: string, small: number, smallText: string) => largeText + (small && large < 10 ? " " + smallText : "");
  if (s < 86400) {
    const hours = Math.floor(s / 3600);
    const minutes = Math.floor((s % 3600) / 60);
    return two(hours, t("unit.hour", { n: hours }), minutes, t("unit.minute", { n: minutes }));
  }
  const days = Math.floor(s / 86400);
  const hours = Math.floor((s % 86400) / 3600);
  return two(days, t("unit.day", { n: days }), hours, t("unit.hour", { n: hours }));
}

/** Return the age for people: whole seconds, so that it does not flicker. */
export function age(seconds: number | null): string {
  if (seconds === null) return t("time.never");
  return span(Math.floor(seconds));
}

const LANGUAGE = "en-GB"; // of the texts: day before month, 24 hours

/** Return the moment in the reader's own time zone: the time today, the day and time else. */
export function moment(epoch: number, now = Date.now() / 1000): string {
  const date = new Date(epoch * 1000);
  const today = new Date(now * 1000);
  const time = date.toLocaleTimeString(LANGUAGE, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === today.toDateString()) return time;
  const year = date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" as const };
  return date.toLocaleDateString(LANGUAGE, { day: "numeric", month: "short", ...year }) + ", " + time;
}

/** Return day and time in full, for tables and titles. */
export function fullMoment(epoch: number): string {
  return new Date(epoch * 1000).toLocaleString(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
}

/** Words of the catalogue that are not written as they are spelled there. */
const SPELLED: Record<string, string> = {
  soc: "SoC",
  soh: "SoH",
  mosfet: "MOSFET",
  bms: "BMS",
  id: "ID",
  can: "CAN",
  uart1: "UART1",
  uart2: "UART2",
  uart3: "UART3",
  eeprom: "EEPROM",
  gps: "GPS",
};

/** Return a catalogue name as words: "charge_mosfet" is "Charge MOSFET". */
export function words(name: string): string {
  const all = name.split(/[_]/).map((word) => SPELLED[word] ?? word).join(" ");
  return all.charAt(0).toUpperCase() + all.slice(1);
}

/** Return what a reading is called; "cell_voltages.3" is element 3 of a list. */
export function readingLabel(name: string): string {
  const [base = "", element] = name.split(".");
  return textOr("reading." + base, words(base)) + (element ? " " + element : "");
}

/** Return any value of any reading as text, by its row of the catalogue. */
export function valueText(value: Value | undefined, row?: CatalogueReading): string {
  if (value === undefined || value === null) return "–";
  if (Array.isArray(value)) return value.length ? value.map((item) => valueText(item, row && { ...row, kind: "state" })).join(row?.unit ? "  " : ", ") : t("value.none");
  if (typeof value === "boolean") return value ? t("value.on") : t("value.off");
  if (typeof value === "string") return value || "–";
  if (!row) return String(value);
  if (row.quantity === "flag") return value ? t("value.on") : t("value.off");
  if (row.quantity === "bits") return "0x" + value.toString(16).toUpperCase().padStart(4, "0");
  if (row.name === "last_full") return fullMoment(value);
  if (row.name === "clock") return String(value);
  if (row.quantity === "countdown" || row.quantity === "uptime" || row.quantity === "time") return span(value);
  if (row.quantity === "number" || row.quantity === "short_time") return String(value) + (row.unit ? THIN + row.unit : "");
  return quantity(value, unitSign(row.unit), row.decimals);
}

/** Return the sign of a unit of the catalogue. */
export function unitSign(unit: string): string {
  return unit === "degC" ? "°C" : unit === "ohm" ? "Ω" : unit;
}

/** Return the numbers of the bits that are set. */
export function bitsOf(value: number): number[] {
  const bits = [];
  // Not with <<: an alarm word may be longer than 32 bits.
  for (let bit = 0, rest = value; rest >= 1; bit += 1, rest = Math.floor(rest / 2)) if (rest % 2 >= 1) bits.push(bit);
  return bits;
}

export type Flow = "in" | "out" | "idle" | "unknown";

/** Return which way the charge flows. */
export function flow(readings: Readings): Flow {
  const current = number(readings, "current");
  if (current === null) return "unknown";
  return Math.abs(current) < 0.05 ? "idle" : current > 0 ? "in" : "out";
}

/** Return how bad an alarm of the pack is. */
export function severity(readings: Readings, alarm: string): "fault" | "protection" | "warning" {
  const has = (list: string) => Array.isArray(readings[list]) && (readings[list] as Value[]).includes(alarm);
  return has("faults") ? "fault" : has("protections") ? "protection" : "warning";
}

/** Return power, worked out where the BMS does not say it. */
export function powerOf(pack: Pick<Pack, "readings">): number | null {
  const told = number(pack.readings, "power");
  if (told !== null) return told;
  const voltage = number(pack.readings, "voltage");
  const current = number(pack.readings, "current");
  return voltage === null || current === null ? null : voltage * current;
}
