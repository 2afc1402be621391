/** A small label whose meaning is in its word and sign, not only in its colour. */
import type { ComponentChildren } from "preact";
import type { State } from "../api";
import { textOr } from "../texts";
import { Icon, type IconName } from "./Icon";

export type Tone = "good" | "warn" | "bad" | "info" | "idle" | "in" | "out";

export function Badge({ tone, icon, children, title }: { tone: Tone; icon?: IconName; children: ComponentChildren; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {icon && <Icon name={icon} size="1em" />}
      {children}
    </span>
  );
}

const STATES: Record<State | "released", [Tone, IconName | undefined]> = {
  online: ["good", "good"],
  partial: ["warn", "warn"],
  stale: ["idle", "clock"],
  asleep: ["idle", "moon"],
  lost: ["bad", "plug"],
  error: ["bad", "bad"],
  released: ["info", "device"],
};

/** The state of a pack or bank, with the age of its values behind it when given; released: it is left to others. */
export function StateBadge({ state, age, released }: { state: State; age?: string; released?: boolean }) {
  const shown = released && state === "lost" ? "released" : state;
  const [tone, icon] = STATES[shown] ?? ["idle", undefined];
  return (
    <Badge tone={tone} icon={icon}>
      {textOr("state." + shown, shown)}
      {age && <span class="badge-age">{age}</span>}
    </Badge>
  );
}
