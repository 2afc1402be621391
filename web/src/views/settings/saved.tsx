/** What a form of the settings says once it was sent. */
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import type { Form } from "../packs/edit";

export function Saved({ form, saved, restart = false }: { form: Form; saved: boolean; restart?: boolean }) {
  return (
    <>
      {form.general.length > 0 && (
        <Notice tone="bad">
          {t("fault.refused")} {form.general.join(" ")}
        </Notice>
      )}
      {saved && <Notice tone="good">{t(restart ? "settings.saved.restart" : "settings.saved")}</Notice>}
    </>
  );
}

// Kept here because the form is made anew when the configuration changed.
const lastSaved = { section: "", at: 0 };
const SHOWN = 8000; // ms

export function noteSaved(section: string): void {
  Object.assign(lastSaved, { section, at: Date.now() });
}

export function justSaved(section: string): boolean {
  return lastSaved.section === section && Date.now() - lastSaved.at < SHOWN;
}
