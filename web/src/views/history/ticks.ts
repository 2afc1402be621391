/** Words for moments and stretches of time, in the reader's own zone. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (number: number): string => String(number).padStart(2, "0");

/** Return 14:05 or, with seconds, 14:05:30. */
export function clock(time: number, seconds = false): string {
  const at = new Date(time * 1000);
  return `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
}

/** Return 21 Nov 2026. */
export function date(time: number, year = true): string {
  const at = new Date(time * 1000);
  return `${at.getDate()} ${MONTHS[at.getMonth()]}${year ? ` ${at.getFullYear()}` : ""}`;
}

/** Return 21 Nov 2026, 14:05:30. */
export function moment(time: number, seconds = true): string {
  return `${date(time)}, ${clock(time, seconds)}`;
}

/** Return a span in words: one date when both ends are on one day. */
export function stretch(start: number, end: number): string {
  const seconds = end - start < 600;
  if (date(start) === date(end)) return `${date(start)}, ${clock(start, seconds)} – ${clock(end, seconds)}`;
  if (end - start > 40 * 86400) return `${date(start)} – ${date(end)}`;
  const sameYear = new Date(start * 1000).getFullYear() === new Date(end * 1000).getFullYear();
  return `${date(start, !sameYear)}, ${clock(start)} – ${date(end)}, ${clock(end)}`;
}

/** Return labels for the ticks of a time axis: the time, and below it the date where it changes. */
export function tickLabels(splits: readonly number[], step: number): string[] {
  let [day, year] = ["", 0];
  return splits.map((time) => {
    const at = new Date(time * 1000);
    const newYear = at.getFullYear() !== year;
    year = at.getFullYear();
    if (step >= 28 * 86400) return `${MONTHS[at.getMonth()]}${newYear ? `\n${year}` : ""}`;
    if (step >= 86400) return `${date(time, false)}${newYear ? `\n${year}` : ""}`;
    const newDay = date(time) !== day;
    day = date(time);
    return `${clock(time, step < 60)}${newDay ? `\n${date(time, false)}` : ""}`;
  });
}

/** The user's time zone as the gateway takes it. */
export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
