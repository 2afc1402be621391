/** Which way the power flows, how much, and how long it will last. */
import type { Readings } from "../api";
import { amperes, flow, number, powerOf, span, watts } from "../format";
import { t } from "../texts";
import { Icon, type IconName } from "./Icon";

const SIGN: Record<string, IconName> = { in: "in", out: "out", idle: "idle", unknown: "idle" };

export function Flow({ readings, old = false }: { readings: Readings; old?: boolean }) {
  const way = flow(readings);
  const power = powerOf({ readings });
  const current = number(readings, "current");
  // What was foretold from old values is worth nothing.
  const toFull = old ? null : number(readings, "time_to_full");
  const toEmpty = old ? null : number(readings, "time_to_empty");
  return (
    <div class={`flow ${way}`}>
      <div class="flow-power">
        <Icon name={SIGN[way] ?? "idle"} />
        {watts(power === null ? null : Math.abs(power))}
      </div>
      <div class="flow-words">
        {t(`flow.${way}`)}
        {current !== null && way !== "idle" && <> · {amperes(Math.abs(current))}</>}
      </div>
      {way === "in" && toFull !== null && <div class="flow-words">{t("overview.full_in", { time: span(toFull) })}</div>}
      {way === "out" && toEmpty !== null && <div class="flow-words">{t("overview.empty_in", { time: span(toEmpty) })}</div>}
    </div>
  );
}
