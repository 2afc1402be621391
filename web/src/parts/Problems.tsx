/** The active alarms of a pack or bank, the worst first, each with since when. */
import type { Readings } from "../api";
import { moment, severity, words } from "../format";
import { t } from "../texts";
import { Icon } from "./Icon";

interface Props {
  problems: string[];
  readings: Readings;
  since?: Record<string, number>;
  most?: number; // more are only counted
}

export function Problems({ problems, readings, since = {}, most = 4 }: Props) {
  if (!problems.length) return null;
  const unique = [...new Set(problems)];
  return (
    <ul class="problems">
      {unique.slice(0, most).map((alarm) => {
        const kind = severity(readings, alarm);
        const begun = since[alarm];
        return (
          <li key={alarm} class={kind === "warning" ? "warn" : "bad"}>
            <Icon name={kind === "warning" ? "warn" : "bad"} size="1.1em" />
            <span>
              {words(alarm)} <span class="problem-kind">{t(`problem.${kind}`)}</span>
            </span>
            {begun !== undefined && <span class="problem-since">{t("problem.since", { time: moment(begun) })}</span>}
          </li>
        );
      })}
      {unique.length > most && <li class="muted">+ {t("problem.many", { n: unique.length - most })}</li>}
    </ul>
  );
}
