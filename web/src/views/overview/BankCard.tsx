/** Several packs as one battery: what they come to, what is missing, what may be charged. */
import type { Bank } from "../../api";
import { age, number, percent, text } from "../../format";
import { ageOf, packNamed, stateOf, unreachable, type Kept } from "../../live";
import { Badge, StateBadge } from "../../parts/Badge";
import { Charge } from "../../parts/Charge";
import { Figure } from "../../parts/Figure";
import { Flow } from "../../parts/Flow";
import { Icon } from "../../parts/Icon";
import { hasLimits, Limits } from "../../parts/Limits";
import { Problems } from "../../parts/Problems";
import { Spread } from "../../parts/Spread";
import { Temperatures } from "../../parts/Temperatures";
import { link } from "../../router";
import { t } from "../../texts";

export function BankCard({ bank }: { bank: Kept<Bank> }) {
  const { readings } = bank;
  const state = stateOf(bank);
  const old = ageOf(bank);
  const soc = number(readings, "soc");
  const missing = Object.entries(bank.missing);
  const fresh = state === "online" || state === "partial";
  return (
    <article class={`card bank ${fresh ? "" : "old"}`} data-bank={bank.bank} data-state={state}>
      <header class="card-head">
        <h3 class="glance-name">{bank.bank}</h3>
        <div class="row end">
          <Badge tone={!fresh ? "idle" : missing.length ? "warn" : "good"} icon={missing.length ? "warn" : "good"}>
            {t("bank.present", { present: bank.present, total: bank.packs.length })}
          </Badge>
          {!fresh && <StateBadge state={state} age={old === null ? undefined : age(old)} />}
        </div>
      </header>
      {unreachable.value && <p class="why">{t("reason.stream", { age: age(old) })}</p>}
      <div class={fresh ? "bank-columns" : "bank-columns grey"}>
        <div class="bank-main">
          <div class="glance-main">
            <Figure readings={readings} />
            <Flow readings={readings} old={!fresh} />
          </div>
          <Charge soc={soc} />
          <Problems problems={bank.problems} readings={readings} since={bank.since} />
        </div>
        <div class="bank-main">
          <Spread readings={readings} lowest={text(readings, "cell_min_pack")} highest={text(readings, "cell_max_pack")} />
          <Temperatures readings={readings} />
          <ul class="members" aria-label={t("bank.members")}>
            {bank.packs.map((name) => (
              <li key={name}>
                <a class={name in bank.missing ? "member out-of" : "member"} href={link("pack", name)}>
                  <Icon name={name in bank.missing ? "warn" : "good"} size="1em" />
                  <span class="member-name">{name}</span>
                  <span class="muted">{percent(number(packNamed(name)?.readings ?? {}, "soc"))}</span>
                </a>
              </li>
            ))}
          </ul>
        </div>
        {hasLimits(readings) && (
          <div class="bank-main">
            <h4 class="label">{t("bank.limits")}</h4>
            <Limits readings={readings} />
          </div>
        )}
      </div>
      {missing.length > 0 && (
        <div class="bank-notes warn">
          <h4>{t("bank.missing")}</h4>
          <ul>
            {missing.map(([name, why]) => (
              <li key={name}>
                <a href={link("pack", name)}>{name}</a>: {why}
              </li>
            ))}
          </ul>
        </div>
      )}
      {bank.warnings.length > 0 && (
        <div class="bank-notes warn">
          <h4>
            <Icon name="warn" size="1.1em" /> {t("bank.warnings")}
          </h4>
          <ul>
            {bank.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </div>
      )}
    </article>
  );
}
