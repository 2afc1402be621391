/** Everything about one pack. */
import { age, number } from "../../format";
import { ageOf, loaded, packNamed, stateOf } from "../../live";
import { StateBadge } from "../../parts/Badge";
import { LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Charge } from "../../parts/Charge";
import { Figure } from "../../parts/Figure";
import { Flow } from "../../parts/Flow";
import { Icon } from "../../parts/Icon";
import { hasLimits, Limits } from "../../parts/Limits";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { Spread } from "../../parts/Spread";
import { Temperatures } from "../../parts/Temperatures";
import { link, route } from "../../router";
import { t } from "../../texts";
import { whyOld } from "../overview/PackCard";
import { AlarmsCard } from "./Alarms";
import { AllReadings } from "./AllReadings";
import { CellsCard } from "./Cells";
import { CounterCard, MetersCard } from "./Counter";
import { IdentityCard, LinkCard } from "./Identity";
import "./pack.css";
import { ReleaseCard, ReleasedNotice } from "./Release";
import { SwitchesCard } from "./Switches";
import { TemperaturesCard } from "./Temperatures";
import { Trail } from "./Trail";

export function Pack() {
  const name = route.value.param;
  const pack = packNamed(name);
  const back = (
    <a class="way-back" href={link()}>
      <Icon name="back" size="1em" /> {t("pack.back")}
    </a>
  );
  if (!pack) {
    if (!loaded.value) return <Loading />;
    return (
      <Page title={name} before={back}>
        <Notice tone="info">{t("pack.gone", { name })}</Notice>
      </Page>
    );
  }
  const { readings } = pack;
  const state = stateOf(pack);
  const old = ageOf(pack);
  const soc = number(readings, "soc");
  const why = whyOld(pack);
  const released = pack.link?.released_until !== undefined;
  return (
    <Page
      title={pack.pack}
      before={back}
      actions={
        <>
          <LinkButton icon="history" href={link("history", "", { of: pack.id })}>
            {t("nav.history")}
          </LinkButton>
          <LinkButton icon="settings" href={link("control", pack.pack)}>
            {t("control.open")}
          </LinkButton>
        </>
      }
    >
      <div class="row under-title">
        <StateBadge state={state} age={old === null ? undefined : age(old)} released={released} />
        {pack.model && <span class="muted">{pack.model}</span>}
        <span class="muted">{pack.dialect}</span>
      </div>
      {released ? <ReleasedNotice pack={pack} /> : why && (
        <Notice tone={state === "asleep" || state === "stale" ? "info" : "bad"} quiet>
          {why}
        </Notice>
      )}
      <div class={`pack-columns ${state === "online" ? "" : "grey"}`} data-state={state}>
        <div class="pack-main">
          <Card title={t("pack.now")} class="now">
            <div class="now-columns">
              <div class="stack">
                <div class="glance-main">
                  <Figure readings={readings} />
                  <Flow readings={readings} old={state !== "online"} />
                </div>
                <Charge soc={soc} full />
                <Spread readings={readings} />
                <Temperatures readings={readings} />
              </div>
              <Trail pack={pack} />
            </div>
          </Card>
          <AlarmsCard pack={pack} />
          <CellsCard readings={readings} />
        </div>
        <div class="pack-side">
          <CounterCard readings={readings} />
          <SwitchesCard pack={pack} />
          <TemperaturesCard readings={readings} />
          <Card title={t("pack.limits")}>{hasLimits(readings) ? <Limits readings={readings} /> : <p class="muted small">{t("pack.limits.none")}</p>}</Card>
          <MetersCard readings={readings} />
          <LinkCard pack={pack} />
          <ReleaseCard pack={pack} />
          <IdentityCard pack={pack} />
        </div>
        <div class="pack-all">
          <AllReadings pack={pack} />
        </div>
      </div>
    </Page>
  );
}
