/** What can be set on a pack, as people read and type it. */
import { type Changes, type Command, enough, type Grant, type JournalEntry, type Result, type Setting, type Value } from "../../api";
import { fixed, readingLabel, unitSign } from "../../format";
import { t } from "../../texts";
import { type Fault, typed } from "../packs/form";

export type Pending = Record<string, string>; // what was typed, by command

const THIN = "\u202f";

/** Return what a command is called; "calibrate_cell/3" is "Calibrate cell 3". */
export function label(key: string): string {
  const [name = "", number] = key.split("/");
  return readingLabel(name) + (number ? " " + number : "");
}

/** Return a sentence of the gateway with commands called as everywhere on the page. */
export function sentence(text: string, commands: readonly Command[], own = ""): string {
  const rest = own && text.startsWith(own + ": ") ? text.slice(own.length + 2) : text;
  return rest.replace(/\b[a-z0-9]+(_[a-z0-9]+)+(\/\d+)?\b/g, (key) => (commandOf(commands, key) ? `“${label(key)}”` : key));
}

/** Return the command of a key such as "calibrate_cell/3". */
export function commandOf(commands: readonly Command[], key: string): Command | undefined {
  return commands.find(({ command }) => command === key.split("/")[0]);
}

/** Return how many decimals can be set. */
export function decimals(row: Command | undefined): number {
  const step = row?.step ?? 1;
  for (let digits = 0; digits < 6; digits += 1) if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-9) return digits;
  return 6;
}

/** Return a value with its unit; the number has as many decimals as can be set, and more when it needs them. */
export function shown(value: Value | undefined, row: Command | undefined): string {
  if (row?.secret) return t("control.value.secret");
  if (value === undefined || value === null) return t("value.unknown");
  if (typeof value === "boolean") return value ? t("value.on") : t("value.off");
  if (typeof value !== "number") return String(value) || "–";
  const digits = decimals(row);
  const text = Math.abs(value - Number(value.toFixed(digits))) < 1e-9 ? fixed(value, digits) : String(value);
  return row?.unit ? text + THIN + unitSign(row.unit) : text;
}

/** Return the range that a command takes, "" where that says nothing. */
export function range(row: Command): string {
  if (row.low === undefined || row.high === undefined) return "";
  if (row.kind === "text") return t("control.range.text", { low: row.low, high: row.high });
  const unit = row.unit ? THIN + unitSign(row.unit) : "";
  return row.kind === "number" ? t("control.range", { low: row.low, high: row.high + unit }) : "";
}

/** Return a value as it stands in a field. */
export function asTyped(value: Value | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}

/** Return what is wrong with what was typed. */
export function faultOf(row: Command, text: string): Fault | undefined {
  const low = row.low ?? -Infinity;
  const high = row.high ?? Infinity;
  if (row.kind === "text") {
    if (text.length < low || text.length > high) return { text: "length", low, high };
    return /^[\x20-\x7e]*$/.test(text) ? undefined : { text: "ascii" };
  }
  if (text.trim() === "") return { text: "missing" };
  if (row.kind !== "number") return undefined;
  const number = typed(text);
  if (number === null || Number.isNaN(number)) return { text: "no_number" };
  return number < low || number > high ? { text: "range", low, high } : undefined;
}

/** Return what is sent for what was typed; it has no fault. */
export function settingOf(row: Command, text: string): Setting {
  if (row.kind === "number") return typed(text) ?? NaN;
  return row.kind === "switch" || row.kind === "action" ? text === "on" : text;
}

/** Return the commands with one row for each cell or sensor of those that several have, as far as they were read. */
export function eachOne(commands: readonly Command[]): Command[] {
  return commands.flatMap(({ count, ...row }) => {
    if (!count) return [row];
    const values = Array.isArray(row.value) ? row.value : [];
    return values.flatMap((value, index) => (value === null ? [] : [{ ...row, command: `${row.command}/${index + 1}`, value }]));
  });
}

/** Return what is sent for all that was typed, in the order of the commands. */
export function changesOf(commands: readonly Command[], pending: Pending): Changes {
  const rows = commands.filter(({ command }) => command in pending);
  return Object.fromEntries(rows.map((row) => [row.command, settingOf(row, pending[row.command]!)]));
}

/** Return the groups of commands in their order. */
export function grouped(commands: readonly Command[]): [group: string, rows: Command[]][] {
  const groups = new Map<string, Command[]>();
  for (const row of commands) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return [...groups];
}

/** Return the ages of the newest and the oldest value, null when none was read. */
export function agesOf(commands: readonly Command[]): [newest: number, oldest: number] | null {
  const ages = commands.flatMap(({ age }) => (age === undefined ? [] : [age]));
  return ages.length ? [Math.min(...ages), Math.max(...ages)] : null;
}

/** Return why a grant is not enough: it is the user's or the pack's; "" when it is. */
export function tooLittle(needed: Grant, allowed: Grant, own: Grant | null | undefined): string {
  if (enough(allowed, needed)) return "";
  return enough(own, needed) ? t("control.why.pack", { grant: allowed }) : t("control.why.own", { grant: own ?? "" });
}

type Written = Pick<JournalEntry, "entry" | "command" | "before" | "wanted" | "result"> | Result;

/** Return whether what was written can be written back, as far as can be told from here. */
export function canUndo(one: Written): boolean {
  const changed = one.result !== undefined && one.result !== "refused" && one.before !== one.wanted;
  // What was measured before a calibration is no value to go back to.
  return changed && !one.command?.includes("calibrat") && !!one.entry && one.before !== undefined && one.before !== null && one.before !== "***";
}

/** Return the sentences that several of the lists have. */
export function shared(lists: readonly (readonly string[])[]): string[] {
  const all = lists.flatMap((list) => [...new Set(list)]);
  return [...new Set(all.filter((text, index) => all.indexOf(text) !== index))];
}

/** Return the changes that write back what was before. */
export function backwards(all: readonly { command?: string; before?: Value }[]): Changes {
  return Object.fromEntries(all.map(({ command, before }) => [command ?? "", before as Setting]));
}
