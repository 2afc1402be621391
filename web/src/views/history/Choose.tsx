/** Chooses readings beyond the presets. */
import { useState } from "preact/hooks";
import type { StoredPack } from "../../api";
import { readingLabel, unitSign } from "../../format";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { t, textOr } from "../../texts";
import { choices, isPreset, type Reading } from "./panels";

interface Props {
  packs: readonly StoredPack[];
  readings: ReadonlyMap<string, Reading>;
  show: string;
  onClose: () => void;
  onShow: (show: string) => void;
}

export function Choose({ packs, readings, show, onClose, onShow }: Props) {
  const [ticked, setTicked] = useState<readonly string[]>(isPreset(show) && show !== "power" ? [] : show.split(","));
  const toggle = (name: string) => setTicked(ticked.includes(name) ? ticked.filter((one) => one !== name) : [...ticked, name]);
  return (
    <Dialog
      title={t("history.choose.title")}
      onClose={onClose}
      actions={
        <Button tone="main" disabled={ticked.length === 0} onClick={() => onShow(ticked.join(","))}>
          {t("history.choose.apply")}
        </Button>
      }
    >
      <p class="muted">{ticked.length === 0 ? t("history.choose.none") : t("history.choose.lead")}</p>
      <div class="history-choose">
        {choices(packs, readings).map(([group, all]) => (
          <fieldset key={group}>
            <legend>{textOr(`group.${group}`, group)}</legend>
            {all.map((reading) => (
              <label key={reading.name}>
                <input type="checkbox" checked={ticked.includes(reading.name)} onInput={() => toggle(reading.name)} />
                <span>
                  {readingLabel(reading.name)} {reading.unit && <span class="muted">{unitSign(reading.unit)}</span>}
                </span>
              </label>
            ))}
          </fieldset>
        ))}
      </div>
    </Dialog>
  );
}
