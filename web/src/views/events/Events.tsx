/** What happened: newest first, filtered by pack and kind, with what comes in put on top. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, api, type GatewayEvent } from "../../api";
import { span, words } from "../../format";
import { banks, events as fresh, packs, tick } from "../../live";
import { Badge, type Tone } from "../../parts/Badge";
import { Button, LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { SelectField } from "../../parts/Field";
import type { IconName } from "../../parts/Icon";
import { Empty, Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { Pairs } from "../../parts/Pairs";
import { go, route } from "../../router";
import { t, textOr, type TextKey } from "../../texts";
import { gatewayNow } from "../history/asked";
import { SORTS } from "../history/marks";
import { clock, date, moment } from "../history/ticks";
import "./events.css";
import { alarmsOf, byDay, csv, details, type Filter, GATEWAY, keyOf, lastings, type Lasting, merged, passes, readFilter, stateOf, writeFilter } from "./list";

const PART = 100; // events fetched at a time
const MOST = 5000; // events of a download

const LOOKS: Record<string, [Tone, IconName]> = {
  alarm_on: ["bad", "bad"],
  alarm_off: ["good", "good"],
  full: ["good", "good"],
  bank: ["warn", "packs"],
  release: ["idle", "device"],
  command: ["info", "settings"],
  configuration: ["info", "settings"],
  login: ["idle", "user"],
  refused: ["warn", "warn"],
  history: ["warn", "history"],
  clock: ["warn", "clock"],
  start: ["idle", "forward"],
  stop: ["idle", "close"],
};

const STATES: Record<string, [Tone, IconName]> = { online: ["good", "good"], lost: ["bad", "plug"], error: ["bad", "bad"], asleep: ["idle", "moon"], stale: ["idle", "clock"] };

function looks(event: GatewayEvent): [Tone, IconName] {
  if (event.kind === "state") return STATES[stateOf(event)] ?? ["idle", "info"];
  return LOOKS[event.kind] ?? ["idle", "info"];
}

function ask(filter: Filter, end: number | undefined, limit: number, cut?: AbortSignal): Promise<GatewayEvent[]> {
  const kinds = SORTS.find(([sort]) => sort === filter.sort)?.[1];
  const of = filter.of === GATEWAY ? "" : filter.of;
  return api.events({ of, start: 0, limit, ...(end === undefined ? {} : { end }), ...(kinds ? { kinds: [...kinds] } : {}) }, cut);
}

export function Events() {
  const { query } = route.value;
  const filter = readFilter(query);
  const key = writeFilter(filter);
  const [kept, setKept] = useState<GatewayEvent[] | null>(null);
  const [all, setAll] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const wanted = useRef(key);
  wanted.current = key;

  const fail = (reason: unknown) => setError(reason instanceof ApiError ? reason.text : String(reason));
  useEffect(() => {
    const cut = new AbortController();
    setKept(null);
    setError("");
    ask(filter, undefined, PART, cut.signal).then(
      (found) => {
        setKept(found);
        setAll(found.length < PART);
      },
      (reason: unknown) => !cut.signal.aborted && (fail(reason), setKept([])),
    );
    return () => cut.abort();
  }, [key]);

  const older = () => {
    const last = kept?.at(-1);
    if (!last) return;
    setBusy(true);
    // Events of one moment may be cut apart by the limit, so its own moment is asked for again.
    ask(filter, last.time + 0.001, PART).then(
      (found) => {
        setBusy(false);
        if (wanted.current !== key) return;
        setKept((before) => merged(before ?? [], found));
        setAll(found.length < PART);
      },
      (reason: unknown) => (setBusy(false), fail(reason)),
    );
  };

  const list = useMemo(() => merged(kept ?? [], fresh.value).filter((event) => passes(event, filter)), [kept, fresh.value, key]);
  const lasts = useMemo(() => lastings(merged(kept ?? [], fresh.value), 0), [kept, fresh.value]);
  const names: [string, string][] = [...packs.value.map((pack) => [pack.id, pack.pack] as [string, string]), ...banks.value.map((bank) => [bank.id, bank.bank] as [string, string])];
  if (filter.of && filter.of !== GATEWAY && !names.some(([id]) => id === filter.of)) names.push([filter.of, list.find((event) => event.pack === filter.of)?.name || filter.of]);
  const set = (change: Partial<Filter>) => go(`#/events?${writeFilter({ ...filter, ...change })}`);
  const download = () => {
    ask(filter, undefined, MOST).then((found) => save(csv(found.filter((event) => passes(event, filter)))), fail);
  };
  const newest = fresh.value.find((event) => passes(event, filter));
  return (
    <Page
      title={t("events.title")}
      actions={
        <Button icon="download" onClick={download} disabled={list.length === 0}>
          {t("events.export")}
        </Button>
      }
    >
      <div class="events-filter">
        <SelectField label={t("events.filter.of")} value={filter.of} onInput={(of) => set({ of })} options={[["", t("events.filter.all")], ...names, [GATEWAY, t("events.filter.gateway")]]} />
        <SelectField
          label={t("events.filter.sort")}
          value={filter.sort}
          onInput={(sort) => set({ sort })}
          options={[["", t("events.filter.every")], ...SORTS.map(([sort]) => [sort, t(`history.sort.${sort}` as TextKey)] as const)]}
        />
      </div>
      {error && <Notice tone="bad">{error}</Notice>}
      <p class="sr" aria-live="polite">
        {newest ? newest.text : ""}
      </p>
      {kept === null ? (
        <Loading />
      ) : list.length === 0 ? (
        <Empty icon="events" title={t("events.none.title")}>
          <p>{key === "" ? t("events.none.text") : t("events.none.filter")}</p>
          {key !== "" && <LinkButton href="#/events">{t("events.none.clear")}</LinkButton>}
        </Empty>
      ) : (
        <>
          {byDay(list, dayName).map(([day, events]) => (
            <Card key={day} title={day} class="events-day">
              <ol>
                {events.map((event) => (
                  <Line key={keyOf(event)} event={event} lasting={lasts.get(keyOf(event))} />
                ))}
              </ol>
            </Card>
          ))}
          <div class="events-older">
            {all ? (
              <p class="muted small">{t("events.end")}</p>
            ) : (
              <Button onClick={older} disabled={busy}>
                {t(busy ? "events.older.busy" : "events.older")}
              </Button>
            )}
          </div>
        </>
      )}
    </Page>
  );
}

function save(text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = t("events.export.file");
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function dayName(time: number): string {
  const now = Date.now() / 1000;
  const day = date(time);
  if (day === date(now)) return `${t("events.today")}, ${day}`;
  return day === date(now - 86400) ? `${t("events.yesterday")}, ${day}` : day;
}

function Line({ event, lasting }: { event: GatewayEvent; lasting: Lasting | undefined }) {
  const [tone, icon] = looks(event);
  const more = details(event);
  const shown: [string, string][] = [
    [t("events.detail.time"), moment(event.time)],
    [t("events.detail.kind"), kindName(event.kind)],
    ...(event.name ? [[t("events.detail.pack"), event.name] as [string, string]] : []),
    ...(event.pack ? [[t("events.detail.id"), event.pack] as [string, string]] : []),
    ...more.map(([key, value]): [string, string] => [words(key), /^(since|last_full)$/.test(key) ? moment(Number(value)) : value]),
  ];
  const around = `of=${encodeURIComponent(event.pack)}&show=power&from=${Math.round(event.time - 1800)}&to=${Math.round(event.time + 1800)}`;
  return (
    <li class={lasting?.end === null && event.kind === "alarm_on" && isStill(event) ? "active" : ""}>
      <details>
        <summary>
          <time dateTime={new Date(event.time * 1000).toISOString()}>{clock(event.time, true)}</time>
          <Badge tone={tone} icon={icon}>
            {event.kind === "state" ? textOr(`state.${stateOf(event)}`, kindName(event.kind)) : kindName(event.kind)}
          </Badge>
          <span class="events-text">
            {event.text} {lasting && <Lasted event={event} lasting={lasting} />}
          </span>
        </summary>
        <Pairs rows={shown} />
        {event.pack && (
          <LinkButton icon="history" href={`#/history?${around}`}>
            {t("events.chart")}
          </LinkButton>
        )}
      </details>
    </li>
  );
}

function kindName(kind: string): string {
  return textOr(`events.kind.${kind}`, words(kind));
}

/** Return whether the pack says now what the event said: the list alone does not know what was not recorded. */
function isStill(event: GatewayEvent): boolean {
  const pack = packs.value.find((one) => one.id === event.pack);
  if (!pack) return false;
  return event.kind === "state" ? pack.state === stateOf(event) : alarmsOf(event).some((alarm) => pack.problems.includes(alarm));
}

/** How long it lasted; what still lasts is counted on. */
function Lasted({ event, lasting }: { event: GatewayEvent; lasting: Lasting }) {
  if (event.kind === "state" && stateOf(event) === "online") return null;
  if (lasting.end !== null) return <span class="muted">{t("events.lasted", { span: span(lasting.end - event.time) })}</span>;
  if (!isStill(event)) return null;
  void tick.value; // counted on each second
  const text = span(Math.max(0, Math.floor(gatewayNow() - event.time)));
  return <strong class="events-still">{t(event.kind === "alarm_on" ? "events.since" : "events.since.state", { span: text })}</strong>;
}
