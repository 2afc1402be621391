/** What the gateway says right now: packs, banks, health and events, kept fresh by its stream of server-sent events. */
import { batch, computed, signal } from "@preact/signals";
import { ApiError, address, api, loggedOut, refusal, type Bank, type Catalogue, type GatewayEvent, type Health, type Pack, type State } from "./api";

/** A pack or bank with the moment (performance clock, s) at which this page got it. */
export type Kept<T> = T & { got: number };

/** One moment of a pack, kept in memory for the small charts. */
export interface Moment {
  time: number; // seconds since 1970
  power: number | null;
  voltage: number | null;
}

export const packs = signal<Kept<Pack>[]>([]);
export const banks = signal<Kept<Bank>[]>([]);
export const health = signal<Health | null>(null);
export const events = signal<GatewayEvent[]>([]); // newest first, only those since the page was opened
export const catalogue = signal<Catalogue | null>(null);
export const trails = signal<Record<string, Moment[]>>({});
/** Counts up each time the gateway took a changed configuration. */
export const reloads = signal(0);

/** The stream: "waiting" for the first answer, "live", or "down" since `downSince`. */
export const stream = signal<"waiting" | "live" | "down">("waiting");
export const downSince = signal(0);
/** True once everything that the gateway knows has come for the first time. */
export const loaded = signal(false);

/** Seconds of the performance clock, moved on each second: ages grow by it, and the device's clock may be wrong. */
export const tick = signal(seconds());

const TRAIL_SECONDS = 600;
const EVENTS_KEPT = 200;
const SILENCE = 40; // s without a byte, although the gateway sends one each 15 s: the connection is dead
const STALE_AFTER = 3; // poll intervals, as the gateway does
const CALM = 0.25; // s between two drawings of what came in, however much came in
const PATIENCE = 3; // s of a broken stream before values count as old

export function seconds(): number {
  return performance.now() / 1000;
}

/** Return how old the newest values are now, in seconds; null when none ever came. */
export function ageOf(kept: Kept<Pack> | Kept<Bank>): number | null {
  return kept.age === undefined ? null : kept.age + Math.max(0, tick.value - kept.got);
}

/** True while the gateway has not been heard of for longer than a moment. */
export const unreachable = computed(() => stream.value === "down" && tick.value - downSince.value > PATIENCE);

/** Return the state as it is to be shown: values that stopped coming are old, whatever was said last. */
export function stateOf(kept: Kept<Pack> | Kept<Bank>): State {
  if (kept.state !== "online" && kept.state !== "partial") return kept.state;
  if (unreachable.value) return "stale";
  const every = "every" in kept && kept.every ? kept.every : 10;
  const age = ageOf(kept);
  return age === null || age > STALE_AFTER * every + 1 ? "stale" : kept.state;
}

export const packNamed = (name: string): Kept<Pack> | undefined => packs.value.find((pack) => pack.pack === name);

/** Put one thing that came in into its list, in its place. */
function put<T>(list: T[], thing: T, same: (other: T) => boolean): T[] {
  const at = list.findIndex(same);
  return at < 0 ? [...list, thing] : list.map((other, index) => (index === at ? thing : other));
}

function takePack(pack: Pack): void {
  const known = packNamed(pack.pack);
  packs.value = put(packs.value, { ...known, ...pack, reason: pack.reason, age: pack.age, got: seconds() }, (other) => other.pack === pack.pack);
  if (pack.state !== "online" || pack.age === undefined) return;
  const number = (name: string) => (typeof pack.readings[name] === "number" ? (pack.readings[name] as number) : null);
  const time = (pack.time ? Date.parse(pack.time) : Date.now()) / 1000;
  const trail = trails.value[pack.pack] ?? [];
  const last = trail[trail.length - 1];
  if (last && time <= last.time) return;
  const moment = { time, power: number("power"), voltage: number("voltage") };
  trails.value = { ...trails.value, [pack.pack]: [...trail.filter((old) => old.time > time - TRAIL_SECONDS), moment] };
}

const filled = new Set<string>();

/** Begin the trail of a pack with what the history has of the last minutes; without a history it just grows. */
export async function fillTrail(pack: Pack): Promise<void> {
  const history = health.value?.history.state ?? "off";
  if (filled.has(pack.id) || !pack.time || history === "off") return;
  filled.add(pack.id);
  const end = Date.parse(pack.time) / 1000; // the gateway's clock, not ours
  try {
    const past = await api.history({ of: pack.id, names: ["power", "voltage"], start: end - TRAIL_SECONDS, end, points: 150 });
    const column = (name: string, index: number) => past.series[name]?.avg[index] ?? null;
    const moments = past.times.map((time, index) => ({ time, power: column("power", index), voltage: column("voltage", index) }));
    const own = trails.value[pack.pack] ?? [];
    const from = own[0]?.time ?? Infinity;
    trails.value = { ...trails.value, [pack.pack]: [...moments.filter((moment) => moment.time < from), ...own] };
  } catch {
    filled.delete(pack.id);
  }
}

function takeBank(bank: Bank): void {
  banks.value = put(banks.value, { ...bank, got: seconds() }, (other) => other.bank === bank.bank);
}

/** Take one event of the stream. */
export function take(kind: string, data: string): void {
  const value: unknown = JSON.parse(data);
  batch(() => {
    if (kind === "pack") takePack(value as Pack);
    else if (kind === "bank") takeBank(value as Bank);
    else if (kind === "health") health.value = value as Health;
    else if (kind === "event") events.value = [value as GatewayEvent, ...events.value].slice(0, EVENTS_KEPT);
    else if (kind === "reload") void everything().then(() => (reloads.value += 1));
  });
}

/** Read all packs and banks anew; whatever the gateway does not have any more goes. */
async function everything(): Promise<void> {
  void api.health().then((answer) => (health.value = answer), () => undefined);
  const [allPacks, allBanks] = await Promise.all([api.packs(), api.banks()]);
  batch(() => {
    const names = new Set(allPacks.map((pack) => pack.pack));
    packs.value = packs.value.filter((pack) => names.has(pack.pack));
    allPacks.forEach(takePack);
    const order = allPacks.map((pack) => pack.pack);
    packs.value = [...packs.value].sort((a, b) => order.indexOf(a.pack) - order.indexOf(b.pack));
    banks.value = allBanks.map((bank) => ({ ...bank, got: seconds() }));
    loaded.value = true;
  });
}

let waiting: [kind: string, data: string][] = [];

/** Take the event of the stream soon, together with all others that come until then. */
function takeSoon(kind: string, data: string): void {
  waiting.push([kind, data]);
  if (waiting.length > 1) return;
  setTimeout(() => {
    const all = waiting;
    waiting = [];
    if (run) batch(() => all.forEach(([one, its]) => take(one, its)));
  }, CALM * 1000);
}

/** Turns the text of an event stream, cut anywhere, into events. */
export class Parser {
  private rest = "";
  private kind = "";
  private data: string[] = [];

  constructor(private readonly heard: (kind: string, data: string) => void) {}

  feed(text: string): void {
    const lines = (this.rest + text).split(/\r?\n/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length) this.heard(this.kind || "message", this.data.join("\n"));
      this.kind = "";
      this.data = [];
    } else if (line.startsWith("event:")) this.kind = line.slice(6).trim();
    else if (line.startsWith("data:")) this.data.push(line.slice(5).replace(/^ /, ""));
  }
}

/** Return how long to wait before the next try, in seconds. */
export function pause(failures: number): number {
  return Math.min(15, 0.5 * 2 ** Math.max(0, failures - 1));
}

let run = 0; // of the loop that listens; another number, or 0, and it ends
let runs = 0;
let wake: () => void = () => undefined;
let cut: AbortController | null = null;

/** Follow the gateway until stop(): read all, then listen, and begin again whenever the line breaks. */
export async function start(): Promise<void> {
  if (run) return;
  const own = (run = ++runs);
  let failures = 0;
  while (run === own) {
    try {
      await listen(() => (failures = 0));
    } catch (error) {
      if (run === own && error instanceof ApiError && (error.code === "not_logged_in" || error.code === "setup_needed")) {
        stop();
        loggedOut.value += 1;
        return;
      }
    }
    if (run !== own) return;
    if (stream.value !== "down") {
      batch(() => {
        downSince.value = seconds();
        stream.value = "down";
      });
    }
    failures += 1;
    const wait = pause(failures);
    await new Promise<void>((done) => {
      const timer = setTimeout(done, wait * 1000);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
}

/** Stop listening and forget what was shown: another user may come. */
export function stop(): void {
  run = 0;
  filled.clear();
  cut?.abort();
  wake();
  batch(() => {
    packs.value = [];
    banks.value = [];
    events.value = [];
    trails.value = {};
    health.value = null;
    loaded.value = false;
    stream.value = "waiting";
  });
}

async function listen(good: () => void): Promise<void> {
  const own = new AbortController();
  cut = own;
  let heard = seconds();
  // fetch instead of EventSource: it tells why it was refused, and shows the comments that keep the line alive.
  const watch = setInterval(() => {
    if (seconds() - heard > SILENCE) own.abort();
  }, 5000);
  try {
    const response = await fetch(address("live"), { headers: { Accept: "text/event-stream" }, credentials: "same-origin", cache: "no-store", signal: own.signal });
    if (!response.ok || !response.body) throw await refusal(response);
    await everything();
    if (!catalogue.value) void api.catalogue().then((answer) => (catalogue.value = answer), () => undefined);
    stream.value = "live";
    good();
    const parser = new Parser(takeSoon);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard = seconds();
      parser.feed(value);
    }
  } finally {
    clearInterval(watch);
    own.abort();
  }
}

/** Move the ages on, and look at once whether the gateway is back when the device wakes up or has a network again. */
export function keepTime(): void {
  setInterval(() => (tick.value = seconds()), 1000);
  addEventListener("online", () => wake());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    tick.value = seconds();
    wake();
  });
}
