/** Light or dark: as the device says, unless the reader chose. */
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "cellwire.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>("system");
/** True while dark is shown; charts are drawn anew by it. */
export const dark = signal(false);

/** Show the theme, and remember a choice on this device. */
export function startTheme(): void {
  const device = matchMedia("(prefers-color-scheme: dark)");
  try {
    const saved = localStorage.getItem(KEY) as Theme | null;
    if (saved && ORDER.includes(saved)) theme.value = saved;
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  const show = () => {
    dark.value = theme.value === "dark" || (theme.value === "system" && device.matches);
    document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  };
  device.addEventListener("change", show);
  effect(show);
}

/** Go on to the next theme. */
export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "system";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // see above
  }
}
