/** What the settings of the history mean in seconds and megabytes. */

// Megabytes that four packs write to the disk in a day, by the seconds between two writes (measured, ext4 with its journal).
const WRITTEN: readonly (readonly [number, number])[] = [
  [1, 1900],
  [10, 205],
  [30, 87],
  [60, 66],
  [300, 12],
  [3600, 9],
];

/** Bytes of the file for one row of a pack with 16 cells, roll-ups included. */
const BYTES_A_ROW = 21.2;

/** Return about how many megabytes a day are written to the disk; between measured points it is on their line. */
export function writtenADay(commit: number, packs: number): number {
  const at = WRITTEN.findIndex(([seconds]) => seconds >= commit);
  const [high, low] = [WRITTEN[at < 0 ? WRITTEN.length - 1 : at]!, WRITTEN[Math.max(0, at - 1)]!];
  if (at <= 0 || commit === high[0]) return (high[1] * packs) / 4;
  const share = Math.log(commit / low[0]) / Math.log(high[0] / low[0]);
  return (Math.exp(Math.log(low[1]) * (1 - share) + Math.log(high[1]) * share) * packs) / 4;
}

/** Return about how many megabytes a day the file grows while every row is kept. */
export function grownADay(every: number, packs: number): number {
  return every > 0 ? (packs * 86400 * BYTES_A_ROW) / every / 1e6 : 0;
}

/** Return a number of megabytes with as many digits as mean something. */
export function megabytes(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(value >= 10000 ? 0 : 1)} GB`;
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(1)} MB`;
}

/** Return how long the size allowed lasts, in days. */
export function daysUntilFull(size: number, adDay: number): number {
  return adDay > 0 ? size / adDay : Infinity;
}

/** Return the hosts of a field, one a line or separated by commas and blanks. */
export function hosts(text: string): string[] {
  return text.split(/[\s,]+/).filter((host) => host !== "");
}

/** Return whether it can be the name of a host; no port and no http:// belong to it. */
export function isHost(text: string): boolean {
  return /^([^\s/:@]+|\[[0-9a-f:.]+\])$/i.test(text);
}

/** Return whether it can be the path below which a proxy shows the page. */
export function isPrefix(text: string): boolean {
  return /^(\/[\w.~-]+)*$/.test(text);
}
