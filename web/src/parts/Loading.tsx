/** What is shown while something is asked for, or when there is nothing. */
import type { ComponentChildren } from "preact";
import { t } from "../texts";
import { Icon, type IconName } from "./Icon";

export function Loading({ text = t("app.loading") }: { text?: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {text}
    </p>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size="3rem" />
      <h2>{title}</h2>
      {children}
    </div>
  );
}
