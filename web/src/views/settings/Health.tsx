/** How it goes: the gateway, its history, and each pack. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api, may, type OutputHealth, type PackHealth, type Radio } from "../../api";
import { age, bytes, fixed, span, words } from "../../format";
import { ageOf, health, packNamed, stateOf, tick } from "../../live";
import { Badge, StateBadge } from "../../parts/Badge";
import { Card } from "../../parts/Card";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Pairs } from "../../parts/Pairs";
import { link } from "../../router";
import { t, textOr } from "../../texts";
import { moment } from "../history/ticks";
import { linkQuality } from "../pack/quality";
import { megabytes } from "./figures";
import { OutputState } from "./OutputState";
import { outputRows, outputTitle } from "./told";

const RENEW = 10000; // ms, where the stream says nothing of health

export function HealthPart() {
  useEffect(() => {
    const ask = () => void api.health().then((answer) => (health.value = answer), () => undefined);
    ask();
    const timer = setInterval(() => document.visibilityState === "visible" && ask(), RENEW);
    return () => clearInterval(timer);
  }, []);
  const now = health.value;
  if (!now) return <Loading />;
  const { history } = now;
  return (
    <>
      <div class="settings-two">
        <Card title={t("health.gateway")}>
          <Pairs
            rows={[
              [t("health.version"), now.version],
              [t("health.started"), moment(now.started, false)],
              [t("health.uptime"), span(now.uptime)],
              ...(now.clients === undefined ? [] : [[t("health.clients"), String(now.clients)] as [string, string]]),
            ]}
          />
        </Card>
        <Card
          title={t("health.history")}
          aside={
            history.state === "ok" ? (
              <Badge tone="good" icon="good">{t("health.history.ok")}</Badge>
            ) : history.state === "failing" ? (
              <Badge tone="bad" icon="bad">{t("health.history.failing")}</Badge>
            ) : (
              <Badge tone="idle" icon="idle">{t("health.history.off")}</Badge>
            )
          }
        >
          {history.state === "failing" && <Notice tone="bad">{history.reason}</Notice>}
          {history.state !== "off" && (
            <Pairs
              rows={[
                ...(history.file_bytes === undefined ? [] : [[t("health.history.file"), bytes(history.file_bytes)] as [string, string]]),
                ...(history.queued_rows === undefined ? [] : [[t("health.history.queued"), fixed(history.queued_rows, 0)] as [string, string]]),
                ...(history.loses_at_most_s === undefined ? [] : [[t("health.history.loses"), span(history.loses_at_most_s)] as [string, string]]),
                ...(history.mb_per_day === undefined ? [] : [[t("health.history.written"), t("health.history.written.value", { size: megabytes(history.mb_per_day) })] as [string, string]]),
              ]}
            />
          )}
        </Card>
      </div>
      <h2 class="settings-heading">{t("health.outputs")}</h2>
      {now.outputs?.length ? (
        <div class="grid">
          {now.outputs.map((output) => (
            <OutputCard key={outputTitle(output)} output={output} />
          ))}
        </div>
      ) : (
        <p class="muted">
          {t("health.outputs.none")} {may("configure") && <a href={link("settings", "", { part: "outputs" })}>{t("health.outputs.begin")}</a>}
        </p>
      )}
      {now.radios && now.radios.length > 0 && (
        <>
          <h2 class="settings-heading">{t("radios.title")}</h2>
          <div class="grid">
            {now.radios.map((radio) => (
              <RadioCard key={radio.name} radio={radio} />
            ))}
          </div>
        </>
      )}
      <h2 class="settings-heading">{t("health.packs")}</h2>
      {now.packs.length === 0 && <p class="muted">{t("health.packs.none")}</p>}
      <div class="grid">
        {now.packs.map((pack) => (
          <PackCard key={pack.pack} pack={pack} />
        ))}
      </div>
    </>
  );
}

function OutputCard({ output }: { output: OutputHealth }) {
  return (
    <Card level={3} class="output" title={outputTitle(output)} aside={<OutputState output={output} />}>
      {output.reason && <p class="settings-reason bad">{output.reason}</p>}
      <Pairs rows={outputRows(output)} />
    </Card>
  );
}

function RadioCard({ radio }: { radio: Radio }) {
  const well = radio.state === "ready";
  const rows: [string, string][] = [
    [t("radios.kind"), textOr("radios.kind." + radio.kind, radio.kind)],
    [t("radios.used"), t("radios.used.value", { used: radio.used, slots: radio.slots })],
    ...(radio.waiting ? [[t("radios.waiting"), fixed(radio.waiting, 0)] as [string, string]] : []),
  ];
  return (
    <Card
      level={3}
      title={radio.name}
      aside={
        <Badge tone={well ? "good" : "bad"} icon={well ? "good" : "bad"}>
          {textOr("radios.state." + radio.state, radio.state)}
        </Badge>
      }
    >
      {radio.reason && <p class="settings-reason bad">{radio.reason}</p>}
      <Pairs rows={rows} />
    </Card>
  );
}

function PackCard({ pack }: { pack: PackHealth }) {
  void tick.value;
  const live = packNamed(pack.pack);
  const counts = pack.link?.counts ?? pack.samples ?? {};
  const { good, bad, share } = linkQuality(counts);
  const doubted = Object.entries(pack.samples ?? {}).filter(([cause, count]) => cause.startsWith("rejected_") && count > 0);
  const causes = [...bad, ...doubted.map(([cause, count]): [string, number] => [cause.slice("rejected_".length), count])];
  const rows: [string, ComponentChildren][] = [
    [t("health.age"), age(live ? ageOf(live) : (pack.age ?? null))],
    [t("health.good"), share === null ? fixed(good, 0) : t("health.share", { n: fixed(good, 0), share: fixed(share, share < 99.95 ? 1 : 0) })],
    [t("health.bad"), causes.length === 0 ? t("health.bad.none") : causes.map(([cause, count]) => <div key={cause}>{`${words(cause)}: ${fixed(count, 0)}`}</div>)],
    ...(typeof pack.link?.poll_time === "number" ? [[t("health.poll"), t("unit.second", { n: fixed(pack.link.poll_time, 2) })] as [string, string]] : []),
    ...(pack.link?.address ? [[t("health.link"), <code key="link">{pack.link.address}</code>] as [string, ComponentChildren]] : []),
  ];
  return (
    <Card level={3} title={<a href={link("pack", pack.pack)}>{pack.pack}</a>} aside={<StateBadge state={live ? stateOf(live) : pack.state} released={(live ?? pack).link?.released_until !== undefined} />}>
      {(live?.reason ?? pack.reason) && <p class="settings-reason">{live?.reason ?? pack.reason}</p>}
      <Pairs rows={rows} />
    </Card>
  );
}
