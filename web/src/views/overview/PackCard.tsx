/** One pack at a glance; the whole card leads to its view. */
import type { Pack } from "../../api";
import { age, number } from "../../format";
import { ageOf, stateOf, unreachable, type Kept } from "../../live";
import { StateBadge } from "../../parts/Badge";
import { Charge } from "../../parts/Charge";
import { Figure } from "../../parts/Figure";
import { Flow } from "../../parts/Flow";
import { Problems } from "../../parts/Problems";
import { Spread } from "../../parts/Spread";
import { Temperatures } from "../../parts/Temperatures";
import { link } from "../../router";
import { t } from "../../texts";

/** Return why the values are not fresh, as a sentence; "" when they are. */
export function whyOld(pack: Kept<Pack>): string {
  const old = ageOf(pack);
  if (stateOf(pack) === "online") return "";
  if (unreachable.value) return t("reason.stream", { age: age(old) });
  if (pack.reason) return pack.reason;
  return old === null ? t("reason.nothing") : t("reason.stale", { age: age(old) });
}

export function PackCard({ pack }: { pack: Kept<Pack> }) {
  const { readings } = pack;
  const state = stateOf(pack);
  const old = ageOf(pack);
  const soc = number(readings, "soc");
  const why = whyOld(pack);
  return (
    <article class={`card glance ${state === "online" ? "" : "old"}`} data-pack={pack.pack} data-state={state}>
      <header class="card-head">
        <h3 class="glance-name">
          <a href={link("pack", pack.pack)} title={pack.pack}>
            {pack.pack}
          </a>
        </h3>
        <StateBadge state={state} age={old === null ? undefined : age(old)} released={pack.link?.released_until !== undefined} />
      </header>
      {why && <p class="why">{why}</p>}
      {old !== null && (
        <div class={state === "online" ? "stack" : "stack grey"}>
          <div class="glance-main">
            <Figure readings={readings} />
            <Flow readings={readings} old={state !== "online"} />
          </div>
          <Charge soc={soc} />
          <Problems problems={pack.problems} readings={readings} since={pack.since} most={2} />
          <div class="glance-feet">
            <Spread readings={readings} />
            <Temperatures readings={readings} />
          </div>
        </div>
      )}
    </article>
  );
}
