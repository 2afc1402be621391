/** How a pack or bank may be charged and discharged now, and what sets it. */
import type { Readings } from "../api";
import { number, quantity, text, volts } from "../format";
import { t } from "../texts";

const ROWS = [
  ["charge_voltage", "limit.charge_voltage", "limit.cvl"],
  ["charge_current", "limit.charge_current", "limit.ccl"],
  ["discharge_current", "limit.discharge_current", "limit.dcl"],
] as const;

/** Return whether any limit is known. */
export function hasLimits(readings: Readings): boolean {
  return ROWS.some(([name]) => number(readings, name + "_limit") !== null);
}

export function Limits({ readings }: { readings: Readings }) {
  return (
    <dl class="limits">
      {ROWS.map(([name, label, short]) => {
        const value = number(readings, name + "_limit");
        if (value === null) return null;
        const reason = text(readings, name + "_reason");
        return (
          <div key={name}>
            <dt>
              {t(label)} <abbr>{t(short)}</abbr>
            </dt>
            <dd class={value === 0 ? "limit-none" : ""}>{name === "charge_voltage" ? volts(value) : quantity(value, "A", value % 1 ? 1 : 0)}</dd>
            {reason && <dd class="limit-reason">{reason}</dd>}
          </div>
        );
      })}
    </dl>
  );
}
