/** The span of a pack's temperatures in one line. */
import type { Readings } from "../api";
import { celsius, fixed, number, numbers } from "../format";
import { t } from "../texts";

export function Temperatures({ readings }: { readings: Readings }) {
  const all = numbers(readings, "temperatures").filter((value) => value !== null);
  const low = number(readings, "temperature_min") ?? (all.length ? Math.min(...all) : null);
  const high = number(readings, "temperature_max") ?? (all.length ? Math.max(...all) : null);
  if (low === null || high === null) return null;
  const same = fixed(low, 0) === fixed(high, 0);
  const mosfet = number(readings, "mosfet_temperature");
  return (
    <div class="temperatures">
      <span class="label">{t("overview.temperature")}</span>
      <span>
        {same ? celsius(high) : `${fixed(low, 0)} – ${celsius(high)}`}
        {mosfet !== null && <span class="muted temperature-mosfet">MOSFET {celsius(mosfet)}</span>}
      </span>
    </div>
  );
}
