/** What the history view asks the gateway for: stored packs, series, events. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, type GatewayEvent, type Series, type StoredPack } from "../../api";
import { ageOf, banks, packs, reloads } from "../../live";
import { type Moments, resolutionOf } from "./span";

/** Return the gateway's time in whole seconds: it counts here, even when this device's clock is wrong. */
export function gatewayNow(): number {
  for (const pack of packs.peek()) {
    const age = ageOf(pack);
    if (pack.time && age !== null && pack.state === "online") return Math.floor(Date.parse(pack.time) / 1000 + age);
  }
  return Math.floor(Date.now() / 1000);
}

export function message(error: unknown): string {
  return error instanceof ApiError ? error.text : String(error);
}

const STORED_EACH = 5000; // ms between two looks while nothing is stored yet

/** Return the packs and banks that have something stored, in the order of the configuration; null until known. */
export function useStored(): { stored: StoredPack[] | null; error: string } {
  const [stored, setStored] = useState<StoredPack[] | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    const ask = () =>
      api.stored().then(
        (all) => {
          if (gone) return;
          setStored(ordered(all, [...banks.peek().map((bank) => bank.id), ...packs.peek().map((pack) => pack.id)]));
          setError("");
          if (all.length === 0) timer = setTimeout(ask, STORED_EACH);
        },
        (reason: unknown) => !gone && setError(message(reason)),
      );
    void ask();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [reloads.value]);
  return { stored, error };
}

/** Return what is stored in the order of these ids; what is not configured any more comes last, by name. */
export function ordered(stored: readonly StoredPack[], ids: readonly string[]): StoredPack[] {
  const place = (pack: StoredPack): number => (ids.includes(pack.id) ? ids.indexOf(pack.id) : ids.length);
  return [...stored].sort((a, b) => place(a) - place(b) || (a.name || a.id).localeCompare(b.name || b.id));
}

/** Return the time that "now" is in charts that end now; it moves on each `every` seconds while `running`. */
export function useNow(running: boolean, every: number): [number, () => void] {
  const [now, setNow] = useState(gatewayNow);
  useEffect(() => {
    if (!running) return;
    setNow(gatewayNow());
    const timer = setInterval(() => document.visibilityState === "visible" && setNow(gatewayNow()), every * 1000);
    return () => clearInterval(timer);
  }, [running, every]);
  return [now, () => setNow(gatewayNow())];
}

/** What is wanted of one pack. */
export interface Request {
  of: string;
  names: string[];
}

export interface Answers {
  series: ReadonlyMap<string, Series>;
  length: number; // s, of the stretch that this answers
  busy: boolean;
  error: string;
}

/** Return the series of all requests for the stretch shown; the ones before stay until the new ones are there. */
export function useSeries(requests: readonly Request[], shown: Moments, points: number): Answers {
  const wanted = JSON.stringify(requests);
  const [answers, setAnswers] = useState<Answers>({ series: new Map(), length: 0, busy: true, error: "" });
  useEffect(() => {
    const cut = new AbortController();
    setAnswers((before) => ({ ...before, busy: true }));
    // Not a second more than the span: the gateway chooses the resolution by it.
    const span = { start: Math.floor(shown.start), end: Math.floor(shown.end), points, resolution: resolutionOf(shown) };
    Promise.all(requests.map(async (one) => [one.of, await api.history({ ...one, ...span }, cut.signal)] as const)).then(
      (all) => !cut.signal.aborted && setAnswers({ series: new Map(all), length: shown.end - shown.start, busy: false, error: "" }),
      (reason: unknown) => !cut.signal.aborted && setAnswers((before) => ({ ...before, busy: false, error: message(reason) })),
    );
    return () => cut.abort();
  }, [wanted, shown.start, shown.end, points]);
  return answers;
}

export const EVENT_LIMIT = 500;

/** Return the events of the stretch shown, oldest first. */
export function useEvents(shown: Moments, kinds: readonly string[], fresh: readonly GatewayEvent[]): GatewayEvent[] {
  const [events, setEvents] = useState<GatewayEvent[]>([]);
  // The end moves with the time; what happened since comes by the stream.
  const asked = useRef<Moments>(shown);
  const length = shown.end - shown.start;
  if (shown.start < asked.current.start || shown.end > asked.current.end + Math.max(60, length / 20) || length < (asked.current.end - asked.current.start) / 2) {
    asked.current = shown;
  }
  const { start, end } = asked.current;
  useEffect(() => {
    const cut = new AbortController();
    if (kinds.length === 0) setEvents([]);
    else {
      api.events({ start: Math.floor(start), end: Math.ceil(end) + 1, kinds: [...kinds], limit: EVENT_LIMIT }, cut.signal).then(
        (all) => !cut.signal.aborted && setEvents(all),
        () => undefined, // charts are worth more than their marks
      );
    }
    return () => cut.abort();
  }, [start, end, kinds.join()]);
  const known = new Set(events.map((event) => `${event.time} ${event.text}`));
  const more = fresh.filter((event) => kinds.includes(event.kind) && !known.has(`${event.time} ${event.text}`));
  return [...events, ...more].sort((a, b) => a.time - b.time);
}
