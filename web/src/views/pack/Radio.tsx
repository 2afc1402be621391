/** How well a pack is heard by Bluetooth, and what was done about it. */
import type { ComponentChildren } from "preact";
import type { RadioState } from "../../api";
import { age, fixed, span, words } from "../../format";
import { t, textOr } from "../../texts";
import { recoveries } from "./quality";

/** Return the rows of a link by Bluetooth; `since`: seconds since the gateway told it. */
export function radioRows(radio: RadioState, since: number): [string, ComponentChildren][] {
  const rows: [string, ComponentChildren][] = [];
  const connected = t("radio.connected.for", { time: span((radio.connected_for ?? 0) + since), radio: radio.radio });
  rows.push([t("radio.connected"), radio.connected ? connected : t("radio.connected.not")]);
  if (radio.rssi !== undefined) {
    const heard = { rssi: String(radio.rssi).replace("-", "−"), age: age((radio.rssi_age ?? 0) + since), radio: radio.radio };
    rows.push([t("radio.rssi"), t("radio.rssi.value", heard)]);
  }
  const { connections = 0, drops = 0 } = radio.counts;
  rows.push([t("radio.connections"), fixed(connections, 0)]);
  rows.push([t("radio.drops"), radio.drops_an_hour ? t("radio.drops.hour", { n: fixed(drops, 0), hour: fixed(radio.drops_an_hour, 0) }) : fixed(drops, 0)]);
  const stages = [...recoveries(radio.counts), ...Object.entries(radio.radio_counts ?? {})];
  if (stages.length) rows.push([t("radio.recovered"), counted(stages, "radio.stage.")]);
  const failures = Object.entries(radio.causes);
  if (failures.length) rows.push([t("radio.failures"), counted(failures, "radio.cause.")]);
  if (radio.last_cause) rows.push([t("radio.last"), radio.last_cause]);
  if (radio.rests) rows.push([t("radio.rests"), t("radio.rests.value", { time: span(Math.max(0, radio.rests - since)) })]);
  if (radio.period) rows.push([t("radio.period"), t("radio.period.value", { time: span(radio.period) })]);
  return rows;
}

function counted(list: readonly [name: string, count: number][], texts: string): ComponentChildren {
  return list.map(([name, count]) => <div key={name}>{`${textOr(texts + name, words(name))}: ${fixed(count, 0)}`}</div>);
}
