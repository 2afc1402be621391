/** The list of events: newest first, filtered, with how long an alarm lasted. */

import { sortOf, type Happening } from "../history/marks";

export interface Filter {
  of: string;
  sort: string;
}

/** Return the filter that the address names. */
export function readFilter(query: URLSearchParams): Filter {
  return { of: query.get("of") ?? "", sort: query.get("kind") ?? "" };
}

export function writeFilter(filter: Filter): string {
  const parts = [];
  if (filter.of) parts.push(`of=${encodeURIComponent(filter.of)}`);
  if (filter.sort) parts.push(`kind=${encodeURIComponent(filter.sort)}`);
  return parts.join("&");
}

/** What stands for the gateway itself in the filter. */
export const GATEWAY = "gateway";

export function passes(event: Happening, filter: Filter): boolean {
  const pack = filter.of === "" || (filter.of === GATEWAY ? event.pack === "" : event.pack === filter.of);
  return pack && (filter.sort === "" || sortOf(event.kind) === filter.sort);
}

/** Return what tells an event from all others. */
export function keyOf(event: Happening): string {
  return `${event.time}/${event.kind}/${event.pack}/${event.text}`;
}

/** Return all events once, the newest first. */
export function merged(one: readonly Happening[], other: readonly Happening[]): Happening[] {
  const found = new Map([...one, ...other].map((event) => [keyOf(event), event]));
  return [...found.values()].sort((a, b) => b.time - a.time);
}

/** Return the alarms an event is about. */
export function alarmsOf(event: Happening): string[] {
  const detail = event.detail ?? {};
  const named = detail.alarm ?? detail.alarms;
  if (typeof named === "string") return [named];
  return Array.isArray(named) ? named.map(String) : [];
}

/** How long something lasted: until an event ended it, or still (end is null). */
export interface Lasting {
  seconds: number;
  end: number | null;
}

/** Return for each alarm, and each state that is not online, how long it lasted, as far as the list tells. */
export function lastings(newestFirst: readonly Happening[], now: number): Map<string, Lasting> {
  const found = new Map<string, Lasting>();
  const ended = new Map<string, number>();
  for (const event of newestFirst) {
    const about = event.kind === "state" ? `${event.pack}/state` : `${event.pack}/${alarmsOf(event).join()}`;
    if (event.kind === "alarm_off" || (event.kind === "state" && stateOf(event) === "online")) {
      ended.set(about, event.time);
      continue;
    }
    if (event.kind !== "alarm_on" && event.kind !== "state") continue;
    const end = ended.get(about) ?? null;
    found.set(keyOf(event), { seconds: (end ?? now) - event.time, end });
    if (event.kind === "state") ended.set(about, event.time);
    else ended.delete(about);
  }
  return found;
}

/** Return the state that a pack went to. */
export function stateOf(event: Happening): string {
  const state = event.detail?.to ?? event.detail?.state;
  return typeof state === "string" ? state : "";
}

/** Return events by local day, in the order given. */
export function byDay(events: readonly Happening[], day: (time: number) => string): [string, Happening[]][] {
  const found: [string, Happening[]][] = [];
  for (const event of events) {
    const name = day(event.time);
    const last = found.at(-1);
    if (last && last[0] === name) last[1].push(event);
    else found.push([name, [event]]);
  }
  return found;
}

/** Return events as CSV: time in UTC, kind, name, identity, text. */
export function csv(events: readonly Happening[]): string {
  // A field that begins like a formula is only text, also in a spreadsheet.
  const field = (text: string): string => `"${(/^[=+\-@\t]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const lines = events.map((event) => [new Date(event.time * 1000).toISOString(), event.kind, event.name, event.pack, event.text].map(field).join(","));
  return ["time,kind,name,id,text", ...lines, ""].join("\n");
}

/** Return what the details of an event are, as text; lists with commas between. */
export function details(event: Happening): [string, string][] {
  return Object.entries(event.detail ?? {})
    .filter(([, value]) => value !== null && value !== "")
    .map(([key, value]) => [key, Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value)]);
}
