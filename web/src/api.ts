/** Every request that the page makes of the gateway, typed. Addresses are relative, so a path prefix needs nothing. */
import { signal } from "@preact/signals";
import { t, textOr } from "./texts";

export type Value = number | string | boolean | null | Value[];
export type Readings = Record<string, Value>;
export type State = "online" | "stale" | "asleep" | "lost" | "error" | "partial";
export type Grant = "read" | "operate" | "configure" | "service";

/** A pack as docs/json.md describes it, and what the page needs besides. */
export interface Pack {
  pack: string;
  family: string;
  dialect: string;
  address: number;
  model?: string;
  id: string;
  time?: string;
  age?: number;
  state: State;
  reason?: string;
  readings: Readings;
  problems: string[];
  every?: number;
  since?: Record<string, number>;
  changed?: Record<string, number>;
  link?: LinkState;
}

export interface LinkState {
  address: string;
  counts: Record<string, number>; // answers of the line, good ones and bad ones by cause
  poll_time?: number | null;
  listening?: boolean; // another master asks
  radio?: RadioState;
  released_until?: number;
  released_for?: number; // seconds from when this was told
}

/** How it goes with a link by Bluetooth. */
export interface RadioState {
  connected: boolean;
  radio: string;
  counts: Record<string, number>; // connections, drops, and stages of recovery
  causes: Record<string, number>;
  last_cause: string;
  connected_for?: number;
  rssi?: number;
  rssi_age?: number;
  drops_an_hour?: number;
  radio_counts?: Record<string, number>;
  rests?: number;
  period?: number;
}

/** An adapter or a proxy. */
export interface Radio {
  name: string;
  kind: string;
  slots: number;
  used: number;
  waiting: number;
  state: string;
  reason: string;
}

export interface Bank {
  bank: string;
  id: string;
  packs: string[];
  present: number;
  missing: Record<string, string>;
  time?: string;
  age?: number;
  state: State;
  readings: Readings;
  problems: string[];
  warnings: string[];
  since?: Record<string, number>;
}

export interface GatewayEvent {
  time: number;
  kind: string;
  text: string;
  pack: string;
  name: string;
  detail: Record<string, unknown>;
}

export interface PackHealth {
  pack: string;
  id: string;
  state: State;
  age?: number | null;
  reason?: string;
  samples?: Record<string, number>; // accepted, and rejected by cause
  link?: LinkState;
}

export interface HistoryHealth {
  state: "ok" | "failing" | "off";
  reason?: string;
  queued_rows?: number;
  committed_seq?: number;
  file_bytes?: number;
  loses_at_most_s?: number;
  mb_per_day?: number;
}

/** An output to other programs; what else it tells depends on which it is. */
export interface OutputHealth {
  output: "mqtt" | "modbus" | "influx";
  name: string;
  state: "starting" | "running" | "failing";
  reason?: string;
  [more: string]: unknown;
}

export interface Health {
  version: string;
  started: number;
  uptime: number;
  packs: PackHealth[];
  radios?: Radio[];
  history: HistoryHealth;
  outputs?: OutputHealth[];
  clock?: unknown;
  clients?: number;
}

export interface Session {
  user: string | null;
  grant: Grant | null;
  csrf: string | null;
  setup: boolean;
  guests: boolean;
  name: string;
  version: string;
}

export interface CatalogueReading {
  name: string;
  unit: string;
  decimals: number;
  kind: "measurement" | "total" | "state" | "text" | "list";
  group: string;
  meaning: string;
  quantity: string;
}

export interface Catalogue {
  readings: CatalogueReading[];
  alarms: { name: string; meaning: string }[];
}

export type Column = (number | null)[];

export interface Series {
  resolution: "raw" | "minute" | "hour" | "day";
  step: number;
  times: number[];
  series: Record<string, { min?: Column; avg: Column; max?: Column }>;
}

export interface StoredPack {
  id: string;
  name: string;
  first: number;
  last: number;
  columns: string[];
}

export interface EnergyRow {
  from: number;
  to: number;
  energy_in: number | null;
  energy_out: number | null;
  charge_in: number | null;
  charge_out: number | null;
}

export interface LimitSettings {
  chemistry?: "" | "lfp" | "nmc" | "lto";
  charge_current?: number | null;
  discharge_current?: number | null;
  charge_voltage?: number | null;
}

export interface PackSettings {
  name: string;
  link: string;
  family?: string;
  address?: number | null;
  every?: number;
  grant?: Grant;
  invert_current?: boolean;
  pairing?: string; // by Bluetooth: never, just-works or passkey
  pin?: string; // only sent
  id?: string;
  capacity?: number | null;
  limits?: LimitSettings;
}

export interface BankSettings {
  name: string;
  packs: string[];
  join_difference?: number;
}

export interface WebSettings {
  listen?: string;
  hosts?: string[];
  prefix?: string;
  guests?: boolean;
  access?: string;
  certificate?: string | null;
  key?: string | null;
  proxy?: boolean;
}

export interface HistorySettings {
  path?: string;
  every?: number;
  commit?: number;
  keep_raw?: number;
  keep_minutes?: number;
  size?: number;
  enabled?: boolean;
}

export interface MqttSettings {
  url?: string | null;
  user?: string | null;
  password?: string | null; // only sent
  password_file?: string | null;
  base?: string | null;
  protocol?: string;
  single?: boolean;
  grant?: Grant;
  home_assistant?: { discovery?: string; prefix?: string | null };
}

export interface ModbusSettings {
  listen?: string | null;
  allow?: string[];
  serial?: string | null;
  baud?: number;
  parity?: string;
  grant?: Grant;
  invert_current?: boolean;
}

export interface InfluxSettings {
  name: string;
  url: string;
}

export interface Configuration {
  path: string;
  writable: boolean;
  text: string;
  packs: PackSettings[];
  banks: BankSettings[];
  web: WebSettings;
  history: HistorySettings;
  mqtt: MqttSettings;
  modbus: ModbusSettings;
  influx: InfluxSettings[];
}

export interface Mistake {
  line: number;
  key: string;
  problem: string;
  fix: string;
}

export interface FoundPack {
  family: string;
  dialect: string;
  address: number | null;
  model?: string;
  proof?: string;
}

export interface ScannedLink {
  link: string;
  packs: FoundPack[];
  problem?: string;
  advice?: string;
  name?: string; // of a Bluetooth device, as it calls itself
  rssi?: number; // dBm
  radio?: string;
  taken_for?: { family: string; why: string }[];
}

export interface Scan {
  running: boolean;
  links: ScannedLink[];
  no_bluetooth?: string; // why it was not looked at
}

export interface User {
  name: string;
  grant: Grant;
  [more: string]: unknown;
}

export interface Token {
  name: string;
  grant: Grant;
  created?: number;
  used?: number | null;
  [more: string]: unknown;
}

/** One thing that can be set on a pack; docs/api.md has the keys. */
export interface Command {
  command: string;
  kind: "switch" | "number" | "choice" | "text" | "action";
  group: string;
  meaning: string;
  grant: Grant;
  proof: "captured" | "agreed" | "unproven";
  value?: Value;
  age?: number; // seconds since the value was read
  reading?: string;
  unit?: string;
  decimals?: number;
  low?: number;
  high?: number;
  step?: number;
  words?: string[];
  count?: number;
  warning?: string;
  danger?: string;
  secret?: boolean;
  hold?: boolean;
}

export interface ControlSettings {
  pack: string;
  allowed: Grant;
  reason: string;
  commands: Command[];
  problems?: string[];
}

export type Setting = boolean | number | string;
export type Changes = Record<string, Setting>;

/** What became of one command, or would. */
export interface Result {
  command: string;
  before?: Value;
  wanted?: Value;
  found?: Value;
  result?: "done" | "refused" | "not_confirmed";
  reason?: string;
  warnings?: string[];
  dangers?: string[];
  frames?: string[];
  entry?: number;
}

export interface JournalEntry {
  entry: number;
  time?: number;
  who?: string;
  source?: string;
  command?: string;
  before?: Value;
  wanted?: Value;
  found?: Value;
  result?: "sent" | "done" | "refused" | "not_confirmed";
  reason?: string;
  undo?: number;
}

/** What a backup or the starting values of a chemistry want changed. */
export interface Wanted {
  changes: Changes;
  warnings: string[];
  skipped: Record<string, string>;
}

/** What the gateway refused, in words for people; status 0: it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly text: string,
    readonly mistakes: Mistake[] = [],
  ) {
    super(text);
  }
}

export const session = signal<Session | null>(null);

export const GRANTS: readonly Grant[] = ["read", "operate", "configure", "service"];

/** Tell whether whoever has a grant may do what needs another one. */
export function enough(has: Grant | null | undefined, needed: Grant): boolean {
  return !!has && GRANTS.indexOf(has) >= GRANTS.indexOf(needed);
}

/** Tell whether whoever looks may do what needs this grant. */
export function may(grant: Grant): boolean {
  return enough(session.value?.grant, grant);
}

/** Return the whole address of an API route with its query. */
export function address(path: string, query: Record<string, string | number | undefined> = {}): string {
  const url = new URL("api/v1/" + path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  return url.href;
}

interface ErrorBody {
  error?: string;
  code?: string;
  mistakes?: Mistake[];
}

/** Called when the gateway does not know us any more; app.tsx shows the login. */
export const loggedOut = signal(0);

/** Return the error that a refused answer stands for. */
export async function refusal(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as ErrorBody;
  const code = body.code ?? "";
  const known = code ? textOr("error." + code, "") : "";
  return new ApiError(response.status, code, body.error || known || t("error.http", { status: response.status }), body.mistakes ?? []);
}

async function call<T>(method: string, path: string, body?: unknown, query?: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    if (session.value?.csrf) headers["X-CSRF-Token"] = session.value.csrf;
  }
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      credentials: "same-origin",
      cache: "no-store",
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "offline", t("error.offline"));
  }
  if (!response.ok) {
    const error = await refusal(response);
    if (error.code === "not_logged_in" && path !== "login") loggedOut.value += 1;
    throw error;
  }
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

const part = encodeURIComponent;
const ofPack = (pack: string, what: string): string => `packs/${part(pack)}/${what}`;
type Query = Record<string, string | number | undefined>;

const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> => call<T>("GET", path, undefined, query, signal);

export interface HistoryQuery {
  of: string; // id of a pack or bank
  names: string[];
  start: number;
  end: number;
  points?: number;
  resolution?: "" | "raw" | "minute" | "hour" | "day";
}

export interface EventsQuery {
  of?: string;
  start?: number;
  end?: number;
  kinds?: string[];
  limit?: number;
}

export const api = {
  session: () => get<Session>("session"),
  login: (name: string, password: string) => call<unknown>("POST", "login", { name, password }),
  logout: () => call<unknown>("POST", "logout"),
  setup: (code: string, name: string, password: string) => call<unknown>("POST", "setup", { code, name, password }),

  packs: async () => (await get<{ packs: Pack[] }>("packs")).packs,
  pack: (name: string) => get<Pack>("packs/" + part(name)),
  banks: async () => (await get<{ banks: Bank[] }>("banks")).banks,
  bank: (name: string) => get<Bank>("banks/" + part(name)),
  catalogue: () => get<Catalogue>("catalogue"),
  health: () => get<Health>("health"),

  history: ({ names, ...query }: HistoryQuery, signal?: AbortSignal) =>
    get<Series>("history", { ...query, names: names.join(",") }, signal),
  energy: async (query: { of: string; period: "day" | "month"; start: number; end: number; zone: string }, signal?: AbortSignal) =>
    rows<EnergyRow>(await get<unknown>("energy", query, signal)),
  events: async ({ kinds, ...query }: EventsQuery = {}, signal?: AbortSignal) =>
    rows<GatewayEvent>(await get<unknown>("events", { ...query, kinds: kinds?.join(",") }, signal)),
  stored: async () => (await get<{ packs: StoredPack[] }>("stored")).packs,
  exportAddress: (query: { of: string; start: number; end: number; format: "csv" | "jsonl" }) => address("export", query),

  settings: (pack: string) => get<ControlSettings>(ofPack(pack, "settings")),
  readSettings: (pack: string) => call<ControlSettings>("POST", ofPack(pack, "settings/read")),
  plan: async (pack: string, changes: Changes, unproven: boolean) => (await call<{ results: Result[] }>("POST", ofPack(pack, "plan"), { changes, unproven })).results,
  command: async (pack: string, changes: Changes, unproven: boolean, confirm: string) =>
    (await call<{ results: Result[] }>("POST", ofPack(pack, "commands"), { changes, unproven, confirm })).results,
  undo: async (pack: string, entry: number, confirm: string) => (await call<{ results: Result[] }>("POST", ofPack(pack, "undo"), { entry, confirm })).results,
  journal: async (pack: string, limit: number) => (await get<{ entries: JournalEntry[] }>(ofPack(pack, "journal"), { limit })).entries,
  backupAddress: (pack: string) => address(ofPack(pack, "backup")),
  restore: (pack: string, text: string, unproven: boolean) => call<Wanted>("POST", ofPack(pack, "restore"), { text, unproven }),
  preset: (pack: string, chemistry: string, unproven: boolean) => get<Wanted>(ofPack(pack, `presets/${chemistry}`), { unproven: unproven ? "yes" : "no" }),

  release: (pack: string, minutes: number) => call<unknown>("POST", ofPack(pack, "release"), { minutes }),
  takeBack: (pack: string) => call<unknown>("DELETE", ofPack(pack, "release")),

  configuration: () => get<Configuration>("configuration"),
  putPack: (name: string, value: PackSettings) => call<unknown>("PUT", "configuration/packs/" + part(name), value),
  deletePack: (name: string) => call<unknown>("DELETE", "configuration/packs/" + part(name)),
  putBank: (name: string, value: BankSettings) => call<unknown>("PUT", "configuration/banks/" + part(name), value),
  deleteBank: (name: string) => call<unknown>("DELETE", "configuration/banks/" + part(name)),
  putHistory: (value: HistorySettings) => call<unknown>("PUT", "configuration/history", value),
  putWeb: (value: WebSettings) => call<unknown>("PUT", "configuration/web", value),
  putMqtt: (value: MqttSettings) => call<unknown>("PUT", "configuration/mqtt", value),
  putModbus: (value: ModbusSettings) => call<unknown>("PUT", "configuration/modbus", value),
  scan: () => call<unknown>("POST", "scan"),
  scanned: () => get<Scan>("scan"),

  users: async () => rows<User>(await get<unknown>("users")),
  addUser: (name: string, password: string, grant: Grant) => call<unknown>("POST", "users", { name, password, grant }),
  changeUser: (name: string, grant: Grant, password: string) => call<unknown>("PUT", "users/" + part(name), { grant, ...(password && { password }) }),
  deleteUser: (name: string) => call<unknown>("DELETE", "users/" + part(name)),
  tokens: async () => rows<Token>(await get<unknown>("tokens")),
  addToken: (name: string, grant: Grant) => call<{ token: string }>("POST", "tokens", { name, grant }),
  deleteToken: (name: string) => call<unknown>("DELETE", "tokens/" + part(name)),
  password: (present: string, wanted: string) => call<unknown>("POST", "password", { password: present, new: wanted }),
};

/** Return the list that an answer is, or that is its only list. */
function rows<T>(answer: unknown): T[] {
  if (Array.isArray(answer)) return answer as T[];
  const list = Object.values(answer as object).find(Array.isArray);
  return (list ?? []) as T[];
}

/** Ask who we are and keep it. */
export async function refreshSession(): Promise<Session> {
  const answer = await api.session();
  session.value = answer;
  return answer;
}
