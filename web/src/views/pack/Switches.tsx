/** The MOSFETs as contacts that conduct or block, what the owner allowed, and switching them. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Command, may, type Pack, type Readings, session } from "../../api";
import { flag } from "../../format";
import { type Kept, stateOf } from "../../live";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { t, type TextKey } from "../../texts";
import { Doing, type Job } from "../control/Doing";
import { useSettings } from "../control/known";
import { tooLittle } from "../control/values";

const MOSFETS = [
  ["charge_mosfet", "charge_switch", "pack.switch.charge"],
  ["discharge_mosfet", "discharge_switch", "pack.switch.discharge"],
  ["precharge_mosfet", "", "pack.switch.precharge"],
] as const;

const OTHERS = [
  ["balancing", "balancer_switch", "pack.switch.balancer"],
  ["heating", "heating_switch", "pack.switch.heating"],
] as const;

const ROWS = [
  ...MOSFETS.map((row) => ({ row, onText: "pack.switches.conducts", offText: "pack.switches.blocks" }) as const),
  ...OTHERS.map((row) => ({ row, onText: "value.on", offText: "value.off" }) as const),
];

function Contact({ closed }: { closed: boolean }) {
  return (
    <svg class="contact" viewBox="0 0 48 24" width="48" height="24" aria-hidden="true">
      <path d={closed ? "M2 16h44" : "M2 16h10l22-12M36 16h10"} />
      <circle cx="12" cy="16" r="3" />
      <circle cx="36" cy="16" r="3" />
    </svg>
  );
}

interface TileProps {
  title: string;
  on: boolean | null;
  onText: TextKey;
  offText: TextKey;
  allowed: boolean | null;
  children: ComponentChildren;
}

function Tile({ title, on, onText, offText, allowed, children }: TileProps) {
  return (
    <div class={`switch ${on === null ? "" : on ? "on" : "off"}`}>
      <dt>{title}</dt>
      <dd>
        {on !== null && <Contact closed={on} />}
        {on !== null && <strong>{t(on ? onText : offText)}</strong>}
        {allowed !== null && <span class="switch-user">{allowed ? t("pack.switches.allowed") : t("pack.switches.forbidden")}</span>}
        {children}
      </dd>
    </div>
  );
}

/** Return what a switch is set to, null when nobody knows; `does` is what it switches, as it is now. */
export function isOn(command: Command, readings: Readings, does: boolean | null): boolean | null {
  const set = flag(readings, command.command) ?? (typeof command.value === "boolean" ? command.value : null);
  // What conducts was not switched off; but a protection may block what is switched on.
  return does === true ? (set === false ? null : true) : set;
}

export function SwitchesCard({ pack }: { pack: Kept<Pack> }) {
  const { readings } = pack;
  const { settings } = useSettings(pack.pack, may("operate"));
  const [job, setJob] = useState<Job | null>(null);
  const commands = settings?.commands ?? [];
  const reasons = new Set<string>();
  const reasonFor = (command: Command): string => {
    if (settings?.reason) return settings.reason;
    return stateOf(pack) === "online" ? tooLittle(command.grant, settings?.allowed ?? "read", session.value?.grant) : t("pack.switches.away");
  };
  const buttons = (command: Command, title: string, does: boolean | null) => {
    const why = reasonFor(command);
    if (why) reasons.add(why);
    const on = isOn(command, readings, does);
    return (
      <span class="switch-buttons">
        {([true, false] as const)
          .filter((wanted) => on !== wanted)
          .map((wanted) => {
            const name = { name: title };
            const [action, question] = wanted ? (["control.switch.on", "control.switch.title.on"] as const) : (["control.switch.off", "control.switch.title.off"] as const);
            return (
              <Button
                key={action}
                label={`${t(action)}: ${title}`}
                disabled={why !== ""}
                onClick={() => setJob({ title: t(question, name), action: t(action), changes: { [command.command]: wanted }, unproven: command.proof === "unproven" })}
              >
                {t(action)}
              </Button>
            );
          })}
      </span>
    );
  };
  const tiles = ROWS.flatMap(({ row: [mosfet, set, title], onText, offText }) => {
    const on = flag(readings, mosfet);
    const allowed = set ? flag(readings, set) : null;
    const command = may("operate") ? commands.find((one) => one.command === set && one.kind === "switch") : undefined;
    if (on === null && allowed === null && !command) return [];
    return [
      <Tile key={mosfet} title={t(title)} on={on} onText={onText} offText={offText} allowed={allowed}>
        {command && buttons(command, t(title), on)}
      </Tile>,
    ];
  });
  if (!tiles.length) return null;
  return (
    <Card title={t("pack.switches")}>
      <dl class="switches">{tiles}</dl>
      {[...reasons].map((reason) => (
        <p key={reason} class="hint">
          {reason}
        </p>
      ))}
      {job && <Doing pack={pack.pack} commands={commands} job={job} onClose={() => setJob(null)} />}
    </Card>
  );
}
