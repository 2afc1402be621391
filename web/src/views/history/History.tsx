/** Charts of what was stored: readings of packs over any stretch of time, events on the axis, energy by day and month. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { CatalogueReading, StoredPack } from "../../api";
import { readingLabel, span as spanText, unitSign, fixed } from "../../format";
import { catalogue, events as freshEvents, health } from "../../live";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Empty, Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { Choices } from "../../parts/Tabs";
import { go, route } from "../../router";
import { t, textOr, type TextKey } from "../../texts";
import { dark } from "../../theme";
import { EVENT_LIMIT, gatewayNow, type Request, useEvents, useNow, useSeries, useStored } from "./asked";
import { Chart, type Look } from "./Chart";
import { Choose } from "./Choose";
import { Download } from "./Download";
import { Energy } from "./Energy";
import "./history.css";
import { type Happening, SORTS } from "./marks";
import { elementOf, isPreset, type Line, type Panel, panels, PRESETS, readingOf } from "./panels";
import { between, moments, type Moments, moved, named, nameOf, read, renewEvery, type Shown, type Span, SPANS, write, zoomed } from "./span";
import { joined, rows, type Table } from "./table";
import { moment, stretch, zone } from "./ticks";

const MANY = 6; // more lines than this share one band
const TABLE_ROWS = 60;

export function History() {
  const { stored, error } = useStored();
  const history = health.value?.history;
  return (
    <Page title={t("history.title")}>
      {history?.state === "failing" && <Notice tone="warn">{t("history.failing", { reason: history.reason ?? "" })}</Notice>}
      {history?.state === "off" && <Notice tone="info">{t("history.off")}</Notice>}
      {error && <Notice tone="bad">{error}</Notice>}
      {!stored || !catalogue.value ? (
        !error && <Loading />
      ) : stored.length === 0 ? (
        <Empty icon="history" title={t("history.empty.title")}>
          <p>{t("history.empty.text")}</p>
        </Empty>
      ) : (
        <Charts stored={stored} catalogue={catalogue.value.readings} />
      )}
    </Page>
  );
}

/** Return the packs that the address names by id or name; else the first bank, else the first pack. */
function chosen(of: readonly string[], stored: readonly StoredPack[]): StoredPack[] {
  const found = of.map((word) => stored.find((pack) => pack.id === word) ?? stored.find((pack) => pack.name === word));
  const packs = [...new Set(found.filter((pack) => pack !== undefined))];
  const first = stored.find((pack) => pack.id.startsWith("bank-")) ?? stored[0];
  return packs.length > 0 || !first ? packs : [first];
}

function Charts({ stored, catalogue: readings }: { stored: StoredPack[]; catalogue: CatalogueReading[] }) {
  const { query } = route.value;
  const asked = useMemo(() => read(query), [query]);
  const byName = useMemo(() => new Map(readings.map((reading) => [reading.name, reading])), [readings]);
  const packs = useMemo(() => chosen(asked.of, stored), [asked.of.join(), stored]);
  const first = Math.min(...packs.map((pack) => pack.first));
  const before = useRef<Span[]>([]);
  const [sorts, setSorts] = useState<readonly string[]>(["alarms", "states"]);
  const [dialog, setDialog] = useState<"" | "choose" | "download">("");

  const live = asked.span.to === null;
  const [now, again] = useNow(live, renewEvery(moments(asked.span, gatewayNow(), first)));
  const shown = useMemo(() => moments(asked.span, now, first), [asked.span, now, first]);

  const charts = useMemo(() => panels(asked.show, packs, byName), [asked.show, packs, byName]);
  const requests = useMemo(() => requestsOf(charts), [charts]);
  const [frame, width] = useWidth();
  const points = Math.min(2000, Math.max(300, Math.round(width / 100) * 100));
  const answers = useSeries(requests, shown, points);

  const kinds = SORTS.filter(([sort]) => sorts.includes(sort)).flatMap(([, all]) => all);
  const allEvents = useEvents(shown, kinds, freshEvents.value);
  const ids = packs.map((pack) => pack.id).join();
  const eventKey = allEvents.map((event) => event.time).join() + ids;
  const happenings = useMemo(() => allEvents.filter((event) => event.pack === "" || ids.split(",").includes(event.pack)), [eventKey]);

  const set = (change: Partial<Shown>, replace = false) => {
    go(`#/history?${write({ ...asked, of: packs.map((pack) => pack.id), ...change })}`, replace);
    if (change.span?.to === null) again();
  };
  const zoom = (span: Span) => {
    before.current.push(asked.span);
    set({ span });
  };
  const back = () => {
    const last = before.current.pop();
    set({ span: last ?? zoomed(asked.span, 3, now, first) });
  };
  const move = (share: number) => set({ span: moved(asked.span, share, gatewayNow(), first) }, true);
  const steps: Steps = {
    onZoom: (start, end) => zoom(between(start, end, gatewayNow())),
    onOut: back,
    move,
    zoom: (times) => zoom(zoomed(asked.span, times, gatewayNow(), first)),
    now: () => set({ span: { from: -Math.round(shown.end - shown.start), to: null } }),
  };
  // That of the stretch before would be wrong while the new one is on its way.
  const resolution = answers.length === shown.end - shown.start ? [...answers.series.values()][0] : undefined;

  return (
    <div class="stack history" ref={frame}>
      <Card class="history-controls">
        <div class="history-row">
          <Packs stored={stored} packs={packs} onChange={(of) => set({ of })} />
          <Button icon="download" onClick={() => setDialog("download")} class="history-download">
            <span>{t("history.download")}</span>
          </Button>
        </div>
        <Choices
          label={t("history.show")}
          options={[...PRESETS.map(([key]) => [key, t(`history.show.${key}` as TextKey)] as const), ["own", t(isPreset(asked.show) ? "history.show.more" : "history.show.own")] as const]}
          current={isPreset(asked.show) ? asked.show : "own"}
          onChange={(show) => (show === "own" ? setDialog("choose") : set({ show }))}
        />
        <div class="history-row">
          <Choices
            label={t("history.span")}
            options={SPANS.map(([key]) => [key, t(`history.span.${key}` as TextKey)] as const)}
            current={nameOf(asked.span)}
            onChange={(key) => {
              before.current = [];
              set({ span: named(key) ?? asked.span });
            }}
          />
          <div class="history-steps">
            <Button icon="back" tone="quiet" label={t("history.earlier")} onClick={() => move(-0.5)} />
            <Button icon="idle" tone="quiet" label={t("history.out")} onClick={() => steps.zoom(2)} />
            <Button icon="plus" tone="quiet" label={t("history.in")} onClick={() => steps.zoom(0.5)} />
            <Button icon="forward" tone="quiet" label={t("history.later")} onClick={() => move(0.5)} disabled={live} />
            {!live && (
              <Button icon="clock" tone="quiet" label={t("history.to_now")} onClick={steps.now} />
            )}
          </div>
        </div>
        <p class="history-said" aria-live="polite">
          <strong>{stretch(shown.start, shown.end)}</strong>
          <span>{resolution ? resolutionText(resolution.resolution, resolution.step) : ""}</span>
          {live && <span>{t("history.live")}</span>}
        </p>
      </Card>

      {answers.error && <Notice tone="bad">{answers.error}</Notice>}
      {charts.length === 0 && <Notice tone="info">{t("history.empty.show")}</Notice>}
      {charts.map((panel, place) => (
        <Panel
          key={panel.key}
          panel={panel}
          packs={packs}
          readings={byName}
          answers={answers}
          shown={shown}
          events={happenings}
          lane={place === 0}
          steps={steps}
        />
      ))}
      {charts.length > 0 && (
        <div class="history-foot">
          <Sorts sorts={sorts} onChange={setSorts} />
          <p class="hint">
            {t("history.help")} {t("history.zone", { zone: zone() })}
          </p>
          {allEvents.length >= EVENT_LIMIT && <p class="hint">{t("history.events.limited", { n: EVENT_LIMIT })}</p>}
        </div>
      )}
      <Energy packs={packs} stored={stored} page={asked.energy} now={now} onPage={(energy) => set({ energy }, true)} />
      {dialog === "choose" && (
        <Choose
          packs={packs}
          readings={byName}
          show={asked.show}
          onClose={() => setDialog("")}
          onShow={(show) => {
            setDialog("");
            set({ show });
          }}
        />
      )}
      {dialog === "download" && <Download packs={packs} shown={shown} onClose={() => setDialog("")} />}
    </div>
  );
}

interface Steps {
  onZoom: (start: number, end: number) => void;
  onOut: () => void;
  move: (share: number) => void;
  zoom: (times: number) => void;
  now: () => void;
}

function resolutionText(resolution: string, step: number): string {
  const usual = { minute: 60, hour: 3600, day: 86400 }[resolution];
  if (!usual) return step > 15 ? t("history.resolution.raw.step", { step: spanText(step) }) : t("history.resolution.raw");
  const several = Math.round(step / usual);
  if (several <= 1) return t(`history.resolution.${resolution}` as TextKey);
  return t("history.resolution.several", { several, unit: t(`history.unit.${resolution}` as TextKey) });
}

/** Return one request for each pack, with all columns that any chart draws. */
function requestsOf(charts: readonly Panel[]): Request[] {
  const found = new Map<string, Set<string>>();
  for (const line of charts.flatMap((chart) => chart.lines)) {
    found.set(line.pack, (found.get(line.pack) ?? new Set()).add(line.column));
  }
  return [...found].map(([of, names]) => ({ of, names: [...names] }));
}

function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(() => Math.min(innerWidth, 1400));
  useEffect(() => {
    if (!frame.current) return;
    const watch = new ResizeObserver(([entry]) => entry && setWidth(Math.max(entry.contentRect.width, 200)));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  return [frame, width];
}

function Packs({ stored, packs, onChange }: { stored: readonly StoredPack[]; packs: readonly StoredPack[]; onChange: (of: string[]) => void }) {
  const ids = packs.map((pack) => pack.id);
  const toggle = (id: string) => {
    const others = ids.filter((one) => one !== id);
    if (!ids.includes(id)) onChange([...ids, id]);
    else if (others.length > 0) onChange(others);
  };
  return (
    <div class="history-packs" role="group" aria-label={t("history.of")}>
      {stored.map((pack) => (
        <button type="button" key={pack.id} class="history-chip" aria-pressed={ids.includes(pack.id)} onClick={() => toggle(pack.id)} title={pack.id}>
          {pack.name || pack.id}
        </button>
      ))}
    </div>
  );
}

function Sorts({ sorts, onChange }: { sorts: readonly string[]; onChange: (sorts: readonly string[]) => void }) {
  return (
    <div class="history-sorts" role="group" aria-label={t("history.events")}>
      <span class="small muted">{t("history.events")}</span>
      {SORTS.map(([sort]) => (
        <button
          type="button"
          key={sort}
          class={`history-chip sort ${sort}`}
          aria-pressed={sorts.includes(sort)}
          onClick={() => onChange(sorts.includes(sort) ? sorts.filter((one) => one !== sort) : [...sorts, sort])}
        >
          <i aria-hidden="true" />
          {t(`history.sort.${sort}` as TextKey)}
        </button>
      ))}
    </div>
  );
}

interface PanelProps {
  panel: Panel;
  packs: readonly StoredPack[];
  readings: ReadonlyMap<string, CatalogueReading>;
  answers: ReturnType<typeof useSeries>;
  shown: Moments;
  events: Happening[];
  lane: boolean;
  steps: Steps;
}

function Panel({ panel, packs, readings, answers, shown, events, lane, steps }: PanelProps) {
  const [asTable, setAsTable] = useState(false);
  const many = panel.lines.length > MANY;
  const several = new Set(panel.lines.map((line) => line.pack)).size > 1;
  const looks = useMemo(() => looksOf(panel.lines, packs, readings, several), [panel, packs, readings, dark.value]);
  const table = useMemo(
    () => joined(panel.lines.map((line) => ({ from: answers.series.get(line.pack), column: line.column, sign: line.sign }))),
    [panel, answers.series],
  );
  const title = titleOf(panel, packs, several);
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step: Record<string, () => void> = {
      ArrowLeft: () => steps.move(-0.25),
      ArrowRight: () => steps.move(0.25),
      "+": () => steps.zoom(0.5),
      "=": () => steps.zoom(0.5),
      "-": () => steps.zoom(2),
      Backspace: steps.onOut,
      Home: steps.now,
    };
    const go = step[event.key];
    if (!go) return;
    event.preventDefault();
    go();
  };
  const nothing = !answers.busy && table.times.length === 0;
  return (
    <Card
      title={title}
      class="history-card"
      aside={
        <>
          {answers.busy && <span class="spinner" role="status" aria-label={t("app.loading")} />}
          <Button tone="quiet" pressed={asTable} onClick={() => setAsTable(!asTable)}>
            {t("history.table")}
          </Button>
        </>
      }
    >
      <div
        class={`history-keys${nothing ? " nothing" : ""}`}
        tabIndex={0}
        role="group"
        aria-label={t("history.chart", { name: title, stretch: stretch(shown.start, shown.end) })}
        onKeyDown={keys}
      >
        <Chart
          name={title}
          looks={looks}
          units={panel.units}
          table={table}
          shown={shown}
          events={events}
          lane={lane}
          sync="history"
          many={many}
          onZoom={steps.onZoom}
          onOut={steps.onOut}
        />
        {nothing && <p class="history-nothing">{t("history.empty.span")}</p>}
      </div>
      {asTable && <Numbers title={title} looks={looks} table={table} shown={shown} />}
    </Card>
  );
}

function titleOf(panel: Panel, packs: readonly StoredPack[], several: boolean): string {
  const columns = [...new Set(panel.lines.map((line) => readingOf(line.column)))];
  const names = columns.length > 3 ? `${columns.slice(0, 2).map(readingLabel).join(", ")} …` : columns.map(readingLabel).join(", ");
  const pack = packs.find((one) => one.id === panel.pack);
  return several || packs.length === 1 || !pack ? names : `${pack.name || pack.id}: ${names}`;
}

const COLORS = 8;

function looksOf(lines: readonly Line[], packs: readonly StoredPack[], readings: ReadonlyMap<string, CatalogueReading>, several: boolean): Look[] {
  const ids = [...new Set(lines.map((line) => line.pack))];
  const columns = [...new Set(lines.map((line) => line.column))];
  return lines.map((line, place) => {
    const pack = packs.find((one) => one.id === line.pack);
    const name = readingLabel(line.column);
    const plain = line.sign === -1 ? t("history.below_zero", { name }) : elementName(line.column) || name;
    const color = several ? `--s${(ids.indexOf(line.pack) % COLORS) + 1}` : lines.length <= COLORS ? `--s${place + 1}` : rainbow(place, lines.length);
    return {
      label: several ? (columns.length > 1 ? `${pack?.name} · ${plain}` : (pack?.name ?? line.pack)) : plain,
      unit: line.unit,
      decimals: readings.get(readingOf(line.column))?.decimals ?? 2,
      color,
      dash: several ? columns.indexOf(line.column) > 0 : line.column.endsWith("_limit"),
    };
  });
}

/** Return "Cell 3" for an element of a list that is called shorter than its reading. */
function elementName(column: string): string {
  const text = textOr(`history.element.${readingOf(column)}`, "");
  return elementOf(column) > 0 ? text.replace("{n}", String(elementOf(column))) : "";
}

/** Return one of many colours that lie apart on the wheel. */
function rainbow(place: number, count: number): string {
  return `hsl(${Math.round((place / count) * 330)} ${dark.value ? "65% 66%" : "70% 36%"})`;
}

/** The chart in numbers. */
function Numbers({ title, looks, table, shown }: { title: string; looks: readonly Look[]; table: Table; shown: Moments }) {
  const all = rows(table, TABLE_ROWS);
  return (
    <div class="scroll-x history-numbers" tabIndex={0} role="region" aria-label={t("history.table.caption", { name: title, stretch: stretch(shown.start, shown.end) })}>
      <table>
        <caption class="sr">{t("history.table.caption", { name: title, stretch: stretch(shown.start, shown.end) })}</caption>
        <thead>
          <tr>
            <th scope="col">{t("history.table.time")}</th>
            {looks.map((look) => (
              <th scope="col" class="number" key={look.label}>
                {look.label} {look.unit && `(${unitSign(look.unit)})`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {all.map((row) => (
            <tr key={row.time}>
              <th scope="row">{moment(row.time)}</th>
              {row.cells.map((cell, place) => {
                const decimals = looks[place]?.decimals ?? 2;
                return (
                  <td class="number" key={place}>
                    {cell === null
                      ? "–"
                      : cell.max - cell.min < 0.5 / 10 ** decimals
                        ? fixed(cell.avg, decimals)
                        : t("history.table.spread", { avg: fixed(cell.avg, decimals), min: fixed(cell.min, decimals), max: fixed(cell.max, decimals) })}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
