/** All banks and packs at a glance. */
import { may } from "../../api";
import { banks, loaded, packs } from "../../live";
import { LinkButton } from "../../parts/Button";
import { Empty, Loading } from "../../parts/Loading";
import { Page } from "../../parts/Page";
import { link } from "../../router";
import { t } from "../../texts";
import { BankCard } from "./BankCard";
import "./overview.css";
import { PackCard } from "./PackCard";
import { Totals } from "./Totals";
import { Trouble } from "./Trouble";

export function Overview() {
  if (!loaded.value) return <Loading text={t("overview.waiting")} />;
  if (!packs.value.length) {
    return (
      <Page title={t("overview.title")} hidden>
        <Empty icon="packs" title={t("overview.empty.title")}>
          <p>{t("overview.empty.text")}</p>
          {may("configure") ? (
            <LinkButton tone="main" icon="search" href={link("packs", "", { scan: "1" })}>
              {t("overview.empty.action")}
            </LinkButton>
          ) : (
            <p>{t("overview.empty.guest")}</p>
          )}
        </Empty>
      </Page>
    );
  }
  return (
    <Page title={t("overview.title")} hidden>
      <Trouble />
      {packs.value.length > 1 && <Totals />}
      {banks.value.length > 0 && (
        <section class="stack" aria-labelledby="banks">
          <h2 id="banks" class="section">
            {t("overview.banks")}
          </h2>
          {banks.value.map((bank) => (
            <BankCard key={bank.bank} bank={bank} />
          ))}
        </section>
      )}
      <section class="stack" aria-labelledby="packs">
        <h2 id="packs" class={banks.value.length || packs.value.length > 1 ? "section" : "sr"}>
          {t("overview.packs")}
        </h2>
        <div class="grid">
          {packs.value.map((pack) => (
            <PackCard key={pack.pack} pack={pack} />
          ))}
        </div>
      </section>
    </Page>
  );
}
