/** Events on the time axis: which are shown, and how many stand at one place. */

import type { GatewayEvent } from "../../api";

export type Happening = GatewayEvent;

/** The kinds that can be switched on and off together, the worst first. */
export const SORTS: readonly (readonly [string, readonly string[]])[] = [
  ["alarms", ["alarm_on", "alarm_off"]],
  ["states", ["state", "bank", "full", "release"]],
  ["changes", ["command", "configuration"]],
  ["gateway", ["start", "stop", "history", "clock", "login", "refused"]],
];

export function sortOf(kind: string): string {
  return SORTS.find(([, kinds]) => kinds.includes(kind))?.[0] ?? "gateway";
}

/** Events so near each other that they share one mark. */
export interface Mark {
  x: number;
  sort: string;
  events: Happening[];
}

/** Return the marks for events between start and end on a lane `width` pixels wide. */
export function marks(events: readonly Happening[], start: number, end: number, width: number, apart = 22): Mark[] {
  const inside = events.filter((event) => event.time >= start && event.time <= end).sort((a, b) => a.time - b.time);
  const found: Mark[] = [];
  for (const event of inside) {
    const x = ((event.time - start) / (end - start)) * width;
    const last = found.at(-1);
    if (last && x - last.x < apart) {
      last.events.push(event);
      last.sort = worse(last.sort, sortOf(event.kind));
    } else {
      found.push({ x, sort: sortOf(event.kind), events: [event] });
    }
  }
  return found;
}

function worse(one: string, other: string): string {
  return (SORTS.find(([sort]) => sort === one || sort === other) ?? ["gateway"])[0];
}
