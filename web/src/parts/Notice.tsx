/** A sentence that must be seen: what went wrong, what to mind, what is done. */
import type { ComponentChildren } from "preact";
import { t } from "../texts";
import { Icon } from "./Icon";

interface Props {
  tone: "info" | "good" | "warn" | "bad";
  children: ComponentChildren;
  actions?: ComponentChildren;
  quiet?: boolean; // was there from the start, so it is not announced
}

export function Notice({ tone, children, actions, quiet }: Props) {
  return (
    <div class={`notice ${tone}`} role={quiet ? undefined : tone === "bad" ? "alert" : "status"}>
      <Icon name={tone} />
      <div class="notice-text">
        <span class="sr">{t(`notice.${tone}`)}: </span>
        {children}
      </div>
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}
