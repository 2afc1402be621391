/** Energy in and out, by day of a month or by month of a year. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, type EnergyRow, type StoredPack } from "../../api";
import { energy as energyText, fixed } from "../../format";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Notice } from "../../parts/Notice";
import { Choices } from "../../parts/Tabs";
import { t } from "../../texts";
import { message } from "./asked";
import { type Bar, bars, limits, type Page, readPage, scale, total, turned, writePage } from "./portions";
import { date, zone } from "./ticks";

interface Props {
  packs: readonly StoredPack[];
  stored: readonly StoredPack[];
  page: string;
  now: number;
  onPage: (page: string) => void;
}

const RENEW = 300; // s

export function Energy({ packs, page: asked, now, onPage }: Props) {
  const [chosen, setChosen] = useState("");
  const pack = packs.find((one) => one.id === chosen) ?? packs[0];
  const page = readPage(asked, now);
  const [answer, setAnswer] = useState<{ key: string; rows: EnergyRow[]; error: string }>({ key: "", rows: [], error: "" });
  const key = `${pack?.id} ${writePage(page)}`;
  const turn = Math.floor(now / RENEW);

  useEffect(() => {
    if (!pack) return;
    const cut = new AbortController();
    const { start, end } = limits(page);
    api.energy({ of: pack.id, period: page.month === null ? "month" : "day", start, end, zone: zone() }, cut.signal).then(
      (rows) => !cut.signal.aborted && setAnswer({ key, rows, error: "" }),
      (reason: unknown) => !cut.signal.aborted && setAnswer({ key, rows: [], error: message(reason) }),
    );
    return () => cut.abort();
  }, [key, turn]);

  const all = useMemo(() => bars(page, answer.rows), [answer, writePage(page)]);
  const sum = total(all);
  const { start, end } = limits(page);
  const name = pageName(page);
  const known = all.some((bar) => bar.in !== null || bar.out !== null);
  return (
    <Card
      title={t("energy.title")}
      class="energy"
      aside={
        <div class="energy-turn">
          <Button icon="back" tone="quiet" label={t("energy.before")} disabled={!!pack && start <= pack.first} onClick={() => onPage(writePage(turned(page, -1)))} />
          <span aria-live="polite">{name}</span>
          <Button icon="forward" tone="quiet" label={t("energy.after")} disabled={end > now} onClick={() => onPage(writePage(turned(page, 1)))} />
        </div>
      }
    >
      <div class="history-row">
        <Choices
          label={t("energy.period")}
          options={[["days", t("energy.days")], ["months", t("energy.months")]]}
          current={page.month === null ? "months" : "days"}
          onChange={(period) => {
            const { year, month } = readPage("", now);
            onPage(writePage(period === "months" ? { year: page.year, month: null } : { year: page.year, month: page.year === year ? month : 12 }));
          }}
        />
        {packs.length > 1 && pack && (
          <Choices label={t("energy.of")} options={packs.map((one) => [one.id, one.name || one.id] as const)} current={pack.id} onChange={setChosen} />
        )}
        <dl class="energy-sum">
          <div class="in">
            <dt>{t("energy.in")}</dt>
            <dd>{energyText(sum.in)}</dd>
          </div>
          <div class="out">
            <dt>{t("energy.out")}</dt>
            <dd>{energyText(sum.out)}</dd>
          </div>
        </dl>
      </div>
      {answer.error ? (
        <Notice tone="bad">{answer.error}</Notice>
      ) : known ? (
        <>
          <Bars all={all} page={page} label={t("energy.chart", { page: name, in: energyText(sum.in), out: energyText(sum.out) })} />
          <details>
            <summary>{t("history.table")}</summary>
            <Numbers all={all} page={page} name={name} />
          </details>
        </>
      ) : (
        <p class="history-nothing">{answer.key === key ? t("energy.none", { page: name }) : t("app.loading")}</p>
      )}
    </Card>
  );
}

function pageName(page: Page): string {
  if (page.month === null) return String(page.year);
  return new Date(page.year, page.month - 1, 1).toLocaleDateString("en", { month: "long", year: "numeric" });
}

function barName(bar: Bar, page: Page): string {
  return page.month === null ? new Date(bar.from * 1000).toLocaleDateString("en", { month: "long" }) : date(bar.from, false);
}

const HEIGHT = 190;
const BELOW = 22;

function Bars({ all, page, label }: { all: readonly Bar[]; page: Page; label: string }) {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    if (!host.current) return;
    const watch = new ResizeObserver(([entry]) => entry && setWidth(Math.max(entry.contentRect.width, 200)));
    watch.observe(host.current);
    return () => watch.disconnect();
  }, []);
  const marks = scale(Math.max(...all.map((bar) => Math.max(bar.in ?? 0, bar.out ?? 0))));
  const top = marks.at(-1) ?? 1;
  const decimals = marks.some((mark) => mark % 1 !== 0) ? (top < 0.1 ? 3 : top < 2 ? 2 : 1) : 0;
  const left = 8 + 7.2 * Math.max(...marks.map((mark) => fixed(mark, decimals).length));
  const slot = (width - left) / all.length;
  const bar = Math.max(2, Math.min(22, slot * 0.36));
  const y = (value: number): number => 14 + (HEIGHT - 14) * (1 - value / top);
  const every = page.month === null ? (slot < 34 ? 2 : 1) : slot < 22 ? 5 : slot < 30 ? 2 : 1;
  const shown = at === null ? undefined : all[at];
  return (
    <div class="energy-bars" ref={host} onMouseLeave={() => setAt(null)}>
      <svg width={width} height={HEIGHT + BELOW} role="img" aria-label={label}>
        <text class="energy-unit" x={0} y={9}>
          kWh
        </text>
        {marks.map((mark) => (
          <g key={mark}>
            <line class={mark === 0 ? "zero" : "grid"} x1={left} x2={width} y1={y(mark)} y2={y(mark)} />
            {y(mark) > 22 && (
              <text x={left - 6} y={y(mark) + 4} text-anchor="end">
                {fixed(mark, decimals)}
              </text>
            )}
          </g>
        ))}
        {all.map((one, place) => {
          const middle = left + slot * (place + 0.5);
          return (
            <g key={one.number} class={at === place ? "at" : ""} onMouseEnter={() => setAt(place)} onClick={() => setAt(place)}>
              <rect class="hit" x={left + slot * place} y={0} width={slot} height={HEIGHT + BELOW} />
              {one.in !== null && <rect class="in" x={middle - bar - 0.5} y={y(one.in)} width={bar} height={Math.max(0, HEIGHT - y(one.in))} rx={Math.min(3, bar / 3)} />}
              {one.out !== null && <rect class="out" x={middle + 0.5} y={y(one.out)} width={bar} height={Math.max(0, HEIGHT - y(one.out))} rx={Math.min(3, bar / 3)} />}
              {(one.number === 1 || one.number % every === 0) && (
                <text x={middle} y={HEIGHT + 16} text-anchor="middle">
                  {page.month === null ? new Date(one.from * 1000).toLocaleDateString("en", { month: "short" }) : one.number}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <p class="energy-at" aria-hidden="true">
        {shown ? t("energy.bar", { day: barName(shown, page), in: energyText(shown.in), out: energyText(shown.out) }) : ""}
      </p>
    </div>
  );
}

function Numbers({ all, page, name }: { all: readonly Bar[]; page: Page; name: string }) {
  const sum = total(all);
  return (
    <div class="scroll-x">
      <table>
        <caption class="sr">
          {t("energy.title")}, {name}
        </caption>
        <thead>
          <tr>
            <th scope="col">{t(page.month === null ? "energy.month" : "energy.day")}</th>
            <th scope="col" class="number">{t("energy.in")} (kWh)</th>
            <th scope="col" class="number">{t("energy.out")} (kWh)</th>
          </tr>
        </thead>
        <tbody>
          {all.map(
            (bar) =>
              (bar.in !== null || bar.out !== null) && (
                <tr key={bar.number}>
                  <th scope="row">{barName(bar, page)}</th>
                  <td class="number">{bar.in === null ? "–" : fixed(bar.in, 2)}</td>
                  <td class="number">{bar.out === null ? "–" : fixed(bar.out, 2)}</td>
                </tr>
              ),
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{t("energy.total")}</th>
            <td class="number">{fixed(sum.in, 2)}</td>
            <td class="number">{fixed(sum.out, 2)}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
