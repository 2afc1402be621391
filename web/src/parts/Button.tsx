/** Buttons, and links that look like them. */
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./Icon";

interface Common {
  children?: ComponentChildren;
  icon?: IconName;
  tone?: "plain" | "main" | "bad" | "quiet";
  label?: string; // for a button that shows only a sign
  class?: string;
}

interface ButtonProps extends Common {
  onClick?: (event: MouseEvent) => void;
  type?: "button" | "submit";
  disabled?: boolean;
  pressed?: boolean;
}

export function Button({ children, icon, tone = "plain", label, type = "button", disabled, pressed, onClick, class: more = "" }: ButtonProps) {
  return (
    <button type={type} class={`button ${tone} ${children ? "" : "bare"} ${more}`} onClick={onClick} disabled={disabled} aria-label={label} title={label} aria-pressed={pressed}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function LinkButton({ children, icon, tone = "plain", label, href, download, class: more = "" }: Common & { href: string; download?: boolean | string }) {
  return (
    <a class={`button ${tone} ${children ? "" : "bare"} ${more}`} href={href} download={download} aria-label={label} title={label}>
      {icon && <Icon name={icon} />}
      {children}
    </a>
  );
}
