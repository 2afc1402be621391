/** What a pack is, and how well it can be heard. */
import type { ComponentChildren } from "preact";
import type { Pack } from "../../api";
import { age, fixed, percent, readingLabel, span, valueText, words } from "../../format";
import { ageOf, catalogue, health, type Kept, tick } from "../../live";
import { Card } from "../../parts/Card";
import { Meter } from "../../parts/Meter";
import { Pairs } from "../../parts/Pairs";
import { t } from "../../texts";
import { linkQuality } from "./quality";
import { radioRows } from "./Radio";

export function IdentityCard({ pack }: { pack: Pack }) {
  const rows: [string, string][] = [
    [t("pack.identity.family"), pack.family],
    [t("pack.identity.dialect"), pack.dialect],
    [t("pack.identity.address"), String(pack.address)],
    [t("pack.identity.id"), pack.id],
  ];
  for (const reading of catalogue.value?.readings ?? []) {
    const value = pack.readings[reading.name];
    if (reading.group === "identity" && value !== undefined && value !== "" && reading.name !== "board_number") rows.push([readingLabel(reading.name), valueText(value, reading)]);
  }
  return (
    <Card title={t("pack.identity")}>
      <Pairs rows={rows} />
    </Card>
  );
}

export function LinkCard({ pack }: { pack: Kept<Pack> }) {
  const counts = pack.link?.counts ?? {};
  const { good, bad, share } = linkQuality(counts);
  const told = health.value?.packs.find((other) => other.pack === pack.pack);
  const samples = told?.samples ?? {};
  const doubted = Object.entries(samples).filter(([cause, count]) => cause.startsWith("rejected_") && count > 0);
  const rows: [string, ComponentChildren][] = [];
  if (pack.link?.address) rows.push([t("pack.link.where"), pack.link.address]);
  if (pack.link?.listening) rows.push([t("pack.link.how"), t("pack.link.listening")]);
  // Of a pack that is away nothing new comes but with the gateway's health.
  const radio = pack.state === "online" ? pack.link?.radio : (told?.link?.radio ?? pack.link?.radio);
  if (radio) rows.push(...radioRows(radio, pack.state === "online" ? Math.max(0, tick.value - pack.got) : 0));
  rows.push([t("pack.link.ok"), fixed(good, 0)]);
  rows.push([t("pack.link.bad"), bad.length ? causes(bad) : t("pack.link.none")]);
  if (counts["dropped"]) rows.push([t("pack.link.dropped"), fixed(counts["dropped"], 0)]);
  if (doubted.length) rows.push([t("pack.link.doubted"), causes(doubted.map(([cause, count]) => [cause.slice("rejected_".length), count]))]);
  if (pack.every !== undefined) rows.push([t("pack.link.every"), span(pack.every)]);
  if (typeof pack.link?.poll_time === "number") rows.push([t("pack.link.poll"), t("unit.second", { n: fixed(pack.link.poll_time, 2) })]);
  rows.push([t("pack.link.age"), age(ageOf(pack))]);
  return (
    <Card title={t("pack.link")} aside={share !== null && percent(share, share < 99.95 ? 1 : 0)}>
      {share !== null && <Meter value={share} label={t("pack.link.ok")} text={percent(share, 1)} tone={share < 90 ? "bad" : share < 98 ? "warn" : ""} />}
      <Pairs rows={rows} />
      <p class="hint">{t("pack.link.line")}</p>
    </Card>
  );
}

function causes(list: [cause: string, count: number][]): ComponentChildren {
  return list.map(([cause, count]) => <div key={cause}>{`${words(cause)}: ${fixed(count, 0)}`}</div>);
}
