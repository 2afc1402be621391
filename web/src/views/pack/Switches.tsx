/** The MOSFETs as contacts that conduct or block, and what the owner allowed. */
import type { Readings } from "../../api";
import { flag } from "../../format";
import { Card } from "../../parts/Card";
import { t } from "../../texts";

const MOSFETS = [
  ["charge_mosfet", "charge_switch", "pack.switch.charge"],
  ["discharge_mosfet", "discharge_switch", "pack.switch.discharge"],
  ["precharge_mosfet", "", "pack.switch.precharge"],
] as const;

const OTHERS = [
  ["balancing", "balancer_switch", "pack.switch.balancer"],
  ["heating", "heating_switch", "pack.switch.heating"],
] as const;

function Contact({ closed }: { closed: boolean }) {
  return (
    <svg class="contact" viewBox="0 0 48 24" width="48" height="24" aria-hidden="true">
      <path d={closed ? "M2 16h44" : "M2 16h10l22-12M36 16h10"} />
      <circle cx="12" cy="16" r="3" />
      <circle cx="36" cy="16" r="3" />
    </svg>
  );
}

function Tile({ title, on, onText, offText, allowed }: { title: string; on: boolean | null; onText: string; offText: string; allowed: boolean | null }) {
  return (
    <div class={`switch ${on === null ? "" : on ? "on" : "off"}`}>
      <dt>{title}</dt>
      <dd>
        {on !== null && <Contact closed={on} />}
        {on !== null && <strong>{on ? onText : offText}</strong>}
        {allowed !== null && <span class="switch-user">{allowed ? t("pack.switches.allowed") : t("pack.switches.forbidden")}</span>}
      </dd>
    </div>
  );
}

export function SwitchesCard({ readings }: { readings: Readings }) {
  const rows = [
    ...MOSFETS.map((row) => ({ row, onText: t("pack.switches.conducts"), offText: t("pack.switches.blocks") })),
    ...OTHERS.map((row) => ({ row, onText: t("value.on"), offText: t("value.off") })),
  ];
  const tiles = rows.flatMap(({ row: [mosfet, set, title], onText, offText }) => {
    const on = flag(readings, mosfet);
    const allowed = set ? flag(readings, set) : null;
    return on === null && allowed === null ? [] : [<Tile key={mosfet} title={t(title)} on={on} onText={onText} offText={offText} allowed={allowed} />];
  });
  if (!tiles.length) return null;
  return (
    <Card title={t("pack.switches")}>
      <dl class="switches">{tiles}</dl>
    </Card>
  );
}
