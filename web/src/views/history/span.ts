/** Which stretch of time a chart shows, and how it is zoomed and moved. Times are seconds since 1970. */

/** A stretch of time; `to` is null while it ends now, and then `from` counts back from now (it is negative). */
export interface Span {
  from: number;
  to: number | null;
}

/** A stretch between two moments. */
export interface Moments {
  start: number;
  end: number;
}

const HOUR = 3600;
const DAY = 86400;

/** The spans offered as buttons, by the name that stands in the address; 0 is everything there is. */
export const SPANS: readonly (readonly [string, number])[] = [
  ["1h", HOUR],
  ["6h", 6 * HOUR],
  ["24h", DAY],
  ["7d", 7 * DAY],
  ["30d", 30 * DAY],
  ["1y", 365 * DAY],
  ["all", 0],
];

export const SHORTEST = 20;

/** Return the span of a button. */
export function named(name: string): Span | null {
  const found = SPANS.find(([key]) => key === name);
  return found ? { from: -found[1], to: null } : null;
}

/** Return the name of the button that a span belongs to, "" for any other span. */
export function nameOf(span: Span): string {
  if (span.to !== null) return "";
  return SPANS.find(([, seconds]) => seconds === -span.from)?.[0] ?? "";
}

/** Return the moments a span means now; `first` is when the oldest row was stored. */
export function moments(span: Span, now: number, first: number): Moments {
  if (span.to !== null) return { start: span.from, end: span.to };
  if (span.from === 0) return { start: Math.min(first, now - HOUR), end: now };
  return { start: now + span.from, end: now };
}

/** Return the span between two moments; one that reaches to now goes on with the time. */
export function between(start: number, end: number, now: number): Span {
  const [low, high] = start < end ? [start, end] : [end, start];
  const middle = (low + high) / 2;
  const half = Math.max(high - low, SHORTEST) / 2;
  const to = Math.min(middle + half, now);
  const from = to - 2 * half;
  if (now - to < half * 0.02) return { from: -Math.round(2 * half), to: null };
  return { from: Math.round(from), to: Math.round(to) };
}

/** Return the span `times` as long around its middle; one that ends now keeps its end. */
export function zoomed(span: Span, times: number, now: number, first: number): Span {
  const { start, end } = moments(span, now, first);
  const length = Math.min(Math.max((end - start) * times, SHORTEST), Math.max(now - first, HOUR) * 1.05);
  if (span.to === null) return { from: -Math.round(length), to: null };
  const middle = (start + end) / 2;
  return between(middle - length / 2, middle + length / 2, now);
}

/** Return the span moved by a share of its length; never beyond now. */
export function moved(span: Span, share: number, now: number, first: number): Span {
  const { start, end } = moments(span, now, first);
  const by = (end - start) * share;
  if (end + by >= now) return { from: -Math.round(end - start), to: null };
  return { from: Math.round(start + by), to: Math.round(end + by) };
}

/** Spans longer than this show whole days: hours would only tell day from night. */
const DAYS_FROM = 120 * DAY;

/** Return the resolution to ask for; "" leaves the choice to the gateway. */
export function resolutionOf(span: Moments): "" | "day" {
  return span.end - span.start > DAYS_FROM ? "day" : "";
}

/** Return how many seconds may pass before a chart that ends now is asked for anew. */
export function renewEvery(span: Moments): number {
  const length = span.end - span.start;
  if (length <= DAY) return 10;
  return length <= 30 * DAY ? 60 : 600;
}

/** What a history page shows, as it stands in the address. */
export interface Shown {
  of: string[];
  show: string;
  span: Span;
  energy: string;
}

/** Return what the address asks for; anything it does not say is left at the default. */
export function read(query: URLSearchParams): Shown {
  const split = (text: string | null): string[] => (text ?? "").split(",").filter((part) => part !== "");
  return {
    of: split(query.get("of")).map(decoded),
    show: query.get("show") ?? "power",
    span: readSpan(query.get("from"), query.get("to")),
    energy: query.get("energy") ?? "",
  };
}

function decoded(text: string): string {
  return text.replace(/%2C/gi, ",");
}

function readSpan(from: string | null, to: string | null): Span {
  const day: Span = { from: -DAY, to: null };
  if (from === null) return day;
  if (from.startsWith("-") || from === "all") {
    const known = named(from.replace(/^-/, ""));
    if (known) return known;
    const seconds = Number(from);
    return Number.isFinite(seconds) && seconds < 0 ? { from: Math.min(seconds, -SHORTEST), to: null } : day;
  }
  const [start, end] = [Number(from), to === null ? NaN : Number(to)];
  return Number.isFinite(start) && Number.isFinite(end) && end - start >= 1 ? { from: start, to: end } : day;
}

/** Return the address part for what is shown, so that it can be bookmarked. */
export function write(shown: Shown): string {
  const parts = [];
  if (shown.of.length > 0) {
    parts.push(`of=${shown.of.map((id) => encodeURIComponent(id.replaceAll(",", "%2C"))).join(",")}`);
  }
  parts.push(`show=${shown.show.split(",").map(encodeURIComponent).join(",")}`);
  const name = nameOf(shown.span);
  if (shown.span.to !== null) parts.push(`from=${shown.span.from}&to=${shown.span.to}`);
  else parts.push(`from=${name === "all" ? "all" : name ? `-${name}` : shown.span.from}`);
  if (shown.energy !== "") parts.push(`energy=${encodeURIComponent(shown.energy)}`);
  return parts.join("&");
}
