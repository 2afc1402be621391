/** How good a line is. */

// Counts that are no answers: of bytes, or of answers that are counted by their cause too.
const ASIDE = ["ok", "good", "accepted", "asked", "dropped", "echoed", "stray", "partial"];

/** Return good and bad answers of the counts, the bad ones by cause, the most first. */
export function linkQuality(counts: Record<string, number>): { good: number; bad: [cause: string, count: number][]; share: number | null } {
  const good = counts["ok"] ?? counts["good"] ?? counts["accepted"] ?? 0;
  const bad = Object.entries(counts)
    .filter(([cause, count]) => !ASIDE.includes(cause) && count > 0)
    .sort((a, b) => b[1] - a[1]);
  const all = good + bad.reduce((sum, [, count]) => sum + count, 0);
  return { good, bad, share: all ? (good / all) * 100 : null };
}

/** Return what was done about a link by Bluetooth, by stage: whatever is counted beside connections and their ends. */
export function recoveries(counts: Record<string, number>): [stage: string, count: number][] {
  return Object.entries(counts).filter(([name, count]) => name !== "connections" && name !== "drops" && count > 0);
}
