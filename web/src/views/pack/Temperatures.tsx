/** Every temperature of a pack. */
import type { Readings } from "../../api";
import { celsius, number, numbers, readingLabel } from "../../format";
import { Card } from "../../parts/Card";
import { t } from "../../texts";

const OTHERS = ["mosfet_temperature", "board_temperature", "balancer_temperature", "ambient_temperature", "heater_temperature", "box_temperature"];

/** Return where a temperature stands between the two ends that are drawn, -10 to 70 °C, in percent. */
export function warmth(value: number): number {
  return Math.max(0, Math.min(100, ((value + 10) / 80) * 100));
}

export function TemperaturesCard({ readings }: { readings: Readings }) {
  const rows: [string, number | null][] = numbers(readings, "temperatures").map((value, index) => [t("pack.temperatures.sensor", { number: index + 1 }), value]);
  for (const name of OTHERS) {
    const value = number(readings, name);
    if (value !== null) rows.push([readingLabel(name).replace(/ temperature$/, ""), value]);
  }
  return (
    <Card title={t("pack.temperatures")}>
      {rows.length ? (
        <dl class="warmths">
          {rows.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd class="warmth-bar" aria-hidden="true">
                {value !== null && <i class={value <= 0 || value >= 55 ? "far" : ""} style={{ left: warmth(value) + "%" }} />}
              </dd>
              <dd>{celsius(value, 1)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p class="muted small">{t("pack.temperatures.none")}</p>
      )}
    </Card>
  );
}
