/** How long a pack is left to others, and which packs go with it. */
import type { Pack } from "../../api";
import type { Kept } from "../../live";

export const LEAST = 0.5; // minutes
export const USUAL = 10;
export const MOST = 240;

/** Return the seconds until a pack is taken back, null when it is not released; `now` is the page's own clock. */
export function releasedFor(pack: Kept<Pack>, now: number): number | null {
  const left = pack.link?.released_for;
  return left === undefined ? null : Math.max(0, left - Math.max(0, now - pack.got));
}

/** Return a time as a clock shows it that counts down: "9:05". */
export function countdown(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

/** Return the names of the other packs on the link of a pack. */
export function sharing(pack: Pack, all: readonly Pack[]): string[] {
  const address = pack.link?.address;
  return address ? all.filter((other) => other.pack !== pack.pack && other.link?.address === address).map((other) => other.pack) : [];
}
