/** What is wrong with a pack: since when, what it means, and the raw words of the BMS. */
import type { Pack } from "../../api";
import { age, bitsOf, fullMoment, moment, severity, words } from "../../format";
import { catalogue } from "../../live";
import { Badge } from "../../parts/Badge";
import { Card } from "../../parts/Card";
import { Icon } from "../../parts/Icon";
import { t } from "../../texts";

export function AlarmsCard({ pack }: { pack: Pack }) {
  const { readings, since = {} } = pack;
  const meanings = new Map(catalogue.value?.alarms.map((alarm) => [alarm.name, alarm.meaning]));
  const problems = [...new Set(pack.problems)];
  const bits = Object.entries(readings).filter(([name, value]) => typeof value === "number" && /^(user_)?(alarm|warning|protection|fault)_(bits|code)(_\d)?$/.test(name)) as [string, number][];
  const now = Date.now() / 1000;
  return (
    <Card title={t("pack.alarms")} aside={!problems.length && <Badge tone="good" icon="good">{t("value.none")}</Badge>}>
      {problems.length > 0 ? (
        <ul class="alarms">
          {problems.map((alarm) => {
            const kind = severity(readings, alarm);
            const begun = since[alarm];
            return (
              <li key={alarm} class={kind === "warning" ? "warn" : "bad"}>
                <Icon name={kind === "warning" ? "warn" : "bad"} />
                <div>
                  <span>
                    <strong>{words(alarm)}</strong> <span class="alarm-kind">{t(`problem.${kind}`)}</span>
                  </span>
                  {begun !== undefined && (
                    <span class="alarm-since" title={fullMoment(begun)}>
                      {t("problem.since.long", { time: moment(begun), age: age(Math.max(0, now - begun)) })}
                    </span>
                  )}
                  {meanings.has(alarm) && <p>{meanings.get(alarm)}</p>}
                </div>
              </li>
            );
          })}
        </ul>
      ) : (
        <p class="muted small">{t("pack.alarms.none")}</p>
      )}
      {bits.length > 0 && (
        <details class="more" open={problems.length > 0}>
          <summary>{t("pack.alarms.bits")}</summary>
          <dl class="pairs bits">
            {bits.map(([name, value]) => (
              <div key={name}>
                <dt>{words(name)}</dt>
                <dd>
                  <code>0x{value.toString(16).toUpperCase().padStart(4, "0")}</code>{" "}
                  <span class="muted">{name.endsWith("code") ? "" : value ? t("pack.alarms.bits.set", { bits: bitsOf(value).join(", ") }) : t("pack.alarms.bits.none")}</span>
                </dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </Card>
  );
}
