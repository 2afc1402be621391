/** Power and voltage of the last minutes, from what this page has heard itself. */
import { useEffect } from "preact/hooks";
import type { Pack } from "../../api";
import { number as numberOf, powerOf, span, volts, watts } from "../../format";
import { fillTrail, health, trails } from "../../live";
import { t } from "../../texts";
import { HEIGHT, trailLine, WIDTH } from "./line";

export function Trail({ pack }: { pack: Pack }) {
  useEffect(() => void fillTrail(pack), [pack.id, health.value === null]);
  const moments = trails.value[pack.pack] ?? [];
  const first = moments[0];
  const last = moments[moments.length - 1];
  const long = first && last ? last.time - first.time : 0;
  const rows = [
    { what: "power", line: trailLine(moments, "power", 20), show: watts, now: powerOf(pack) },
    { what: "voltage", line: trailLine(moments, "voltage", 0.1), show: (value: number | null) => volts(value), now: numberOf(pack.readings, "voltage") },
  ] as const;
  return (
    <div class="trail">
      {rows.map(({ what, line, show, now }) => (
        <figure key={what} class={`trail-row ${what}`}>
          <figcaption>
            <span class="label">
              {t(`pack.trail.${what}`)} {long >= 3 && <>· {t("pack.trail.span", { span: span(long) })}</>}
            </span>
            <span>{show(now)}</span>
          </figcaption>
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={line ? t("pack.trail.range", { low: show(line.low), high: show(line.high) }) : t("pack.trail.empty")}>
            <path class="trail-base" d={`M0 ${line?.zero ?? HEIGHT - 0.5}H${WIDTH}`} />
            {line && <path class="trail-line" d={line.path} />}
          </svg>
          <span class="trail-range muted">{line ? t("pack.trail.range", { low: show(line.low), high: show(line.high) }) : t("pack.trail.empty")}</span>
        </figure>
      ))}
    </div>
  );
}
