/** The end of each form of the settings: what it says once it was sent, and the button. */
import { Button } from "../../parts/Button";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import type { Form } from "../packs/edit";

interface Props {
  form: Form;
  saved: boolean;
  writable: boolean;
}

export function Save({ form, saved, writable }: Props) {
  return (
    <>
      {form.general.length > 0 && (
        <Notice tone="bad">
          {t("fault.refused")} {form.general.join(" ")}
        </Notice>
      )}
      {saved && <Notice tone="good">{t("settings.saved")}</Notice>}
      <div class="actions end">
        <Button tone="main" type="submit" disabled={!writable || form.busy}>
          {t("settings.save")}
        </Button>
      </div>
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
