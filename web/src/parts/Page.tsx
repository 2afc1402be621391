/** The frame of a view: its heading, what can be done, and the title of the browser's tab. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../texts";

interface Props {
  title: string;
  before?: ComponentChildren; // above the heading, such as a way back
  actions?: ComponentChildren;
  children?: ComponentChildren;
  narrow?: boolean;
  hidden?: boolean; // the heading is only for screen readers
}

export function Page({ title, before, actions, children, narrow, hidden }: Props) {
  useEffect(() => {
    document.title = `${title} · ${t("app.name")}`;
  }, [title]);
  return (
    <div class={narrow ? "view narrow" : "view"}>
      {before}
      <div class={hidden && !actions ? "sr" : "view-head"}>
        <h1 tabIndex={-1} class={hidden ? "sr" : ""}>
          {title}
        </h1>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
