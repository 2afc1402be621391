/** The state of charge twice - as the BMS says and as Cellwire counted - and the meters. */
import type { Readings } from "../../api";
import { energy, fixed, moment, number, percent, quantity, span } from "../../format";
import { Card } from "../../parts/Card";
import { Meter } from "../../parts/Meter";
import { Pairs } from "../../parts/Pairs";
import { t } from "../../texts";

export function CounterCard({ readings }: { readings: Readings }) {
  const soc = number(readings, "soc");
  const counted = number(readings, "counted_soc");
  const error = number(readings, "counted_soc_error");
  const drift = number(readings, "soc_drift");
  const full = number(readings, "last_full");
  const remaining = number(readings, "remaining_capacity");
  const capacity = number(readings, "full_capacity");
  const toFull = number(readings, "time_to_full");
  const toEmpty = number(readings, "time_to_empty");
  const soh = number(readings, "soh");
  const cycles = number(readings, "cycles");
  const rows: [string, string][] = [];
  if (drift !== null) rows.push([`${t("pack.counter.drift")} (${t("pack.counter.drift.explain")})`, (drift > 0 ? "+" : "") + percent(drift, 1)]);
  if (toFull !== null) rows.push([t("pack.counter.to_full"), span(toFull)]);
  if (toEmpty !== null) rows.push([t("pack.counter.to_empty"), span(toEmpty)]);
  if (full !== null) rows.push([t("pack.counter.full"), moment(full)]);
  if (remaining !== null) {
    const now = fixed(remaining, 1);
    rows.push([t("pack.counter.capacity"), capacity === null ? quantity(remaining, "Ah", 1) : t("pack.counter.capacity.of", { now, full: fixed(capacity, 1) })]);
  }
  if (soh !== null) rows.push([t("pack.soh"), percent(soh)]);
  if (cycles !== null) rows.push([t("pack.cycles"), fixed(cycles, 0)]);
  return (
    <Card title={t("pack.counter")}>
      <div class="counters">
        <div>
          <span>{t("pack.counter.bms")}</span>
          <strong>{percent(soc, 1)}</strong>
          <Meter value={soc} label={t("pack.counter.bms")} text={percent(soc, 1)} />
        </div>
        {counted !== null && (
          <div>
            <span>{t("pack.counter.counted")}</span>
            <strong>
              {percent(counted, 1)}
              {error !== null && <span class="counter-error"> ± {fixed(error, 1)}</span>}
            </strong>
            <Meter value={counted} label={t("pack.counter.counted")} text={percent(counted, 1)} tone="out" />
          </div>
        )}
      </div>
      {counted === null && <p class="hint">{t("pack.counter.none")}</p>}
      <Pairs rows={rows} />
    </Card>
  );
}

export function MetersCard({ readings }: { readings: Readings }) {
  const rows = [
    ["in", number(readings, "energy_in"), number(readings, "charge_in")],
    ["out", number(readings, "energy_out"), number(readings, "charge_out")],
  ] as const;
  const any = rows.some(([, kwh, ah]) => kwh !== null || ah !== null);
  return (
    <Card title={t("pack.meters")}>
      {any ? (
        <dl class="meters">
          {rows.map(([way, kwh, ah]) => (
            <div key={way} class={way}>
              <dt>{t(`pack.meters.${way}`)}</dt>
              <dd class="meters-energy">{energy(kwh)}</dd>
              <dd class="muted">{quantity(ah, "Ah", 1)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p class="muted small">{t("pack.meters.none")}</p>
      )}
    </Card>
  );
}
