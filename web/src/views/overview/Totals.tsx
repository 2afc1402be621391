/** What all packs come to, in one strip. */
import type { ComponentChildren } from "preact";
import { energy, percent, watts } from "../../format";
import { packs, stateOf, type Kept } from "../../live";
import type { Pack } from "../../api";
import { Icon, type IconName } from "../../parts/Icon";
import { t } from "../../texts";
import { totals } from "./totals";

function Figure({ label, children, tone = "", icon }: { label: string; children: ComponentChildren; tone?: string; icon?: IconName }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd class={tone}>
        {icon && <Icon name={icon} size="1em" />}
        {children}
      </dd>
    </div>
  );
}

export function Totals() {
  const all = totals(packs.value, (pack) => stateOf(pack as Kept<Pack>));
  const way = all.power === null || Math.abs(all.power) < 5 ? "idle" : all.power > 0 ? "in" : "out";
  return (
    <section aria-label={t("overview.totals")}>
      <dl class="totals">
        <Figure label={all.power === null ? t("overview.total.power") : t(`flow.${way}`)} tone={way} icon={way}>
          {watts(all.power === null ? null : Math.abs(all.power))}
        </Figure>
        <Figure label={t("overview.total.soc")}>{percent(all.soc)}</Figure>
        <Figure label={t("overview.total.energy")}>{energy(all.energy)}</Figure>
        <Figure label={t("overview.total.packs")} tone={all.online < all.total ? "warn" : ""} icon={all.online < all.total ? "warn" : undefined}>
          {t("overview.total.packs.value", { online: all.online, total: all.total })}
        </Figure>
        <Figure label={t("overview.total.problems")} tone={all.problems ? "bad" : ""} icon={all.problems ? "bad" : undefined}>
          {all.problems || t("overview.total.problems.none")}
        </Figure>
      </dl>
    </section>
  );
}
