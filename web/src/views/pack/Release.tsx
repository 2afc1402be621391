/** Leaving a pack to the phone app for a while, and taking it back. */
import { useState } from "preact/hooks";
import { api, may, type Pack } from "../../api";
import { fixed } from "../../format";
import { type Kept, packs, tick } from "../../live";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import { textOf } from "../control/known";
import { numberFault, typed } from "../packs/form";
import { countdown, LEAST, MOST, releasedFor, sharing, USUAL } from "./released";

/** Do what is asked of the gateway, once at a time, and keep what went wrong. */
function useAsking(): { busy: boolean; error: string; ask: (work: () => Promise<unknown>) => void } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const ask = (work: () => Promise<unknown>) => {
    setBusy(true);
    setError("");
    work()
      .catch((reason: unknown) => setError(textOf(reason)))
      .finally(() => setBusy(false));
  };
  return { busy, error, ask };
}

/** Says that a pack is left to others, for how long, and takes it back. */
export function ReleasedNotice({ pack }: { pack: Kept<Pack> }) {
  const { busy, error, ask } = useAsking();
  const left = releasedFor(pack, tick.value);
  if (left === null) return null;
  const action = may("operate") && (
    <Button icon="undo" disabled={busy} onClick={() => ask(() => api.takeBack(pack.pack))}>
      {t("release.back")}
    </Button>
  );
  return (
    <div class="released" data-released>
      <Notice tone="info" quiet actions={action}>
        {t("release.reason", { reason: pack.reason ?? "" })} <span class="released-left">{t("release.left", { time: countdown(left) })}</span>
      </Notice>
      {error && <Notice tone="bad">{error}</Notice>}
    </div>
  );
}

/** Leaves a pack to the phone app, or to another program where there is no radio; also for longer than it is already. */
export function ReleaseCard({ pack }: { pack: Kept<Pack> }) {
  const [minutes, setMinutes] = useState(String(USUAL));
  const { busy, error, ask } = useAsking();
  if (!may("operate")) return null;
  const radio = pack.link?.radio !== undefined;
  const released = releasedFor(pack, tick.value) !== null;
  const fault = minutes.trim() === "" ? ({ text: "missing" } as const) : numberFault(minutes, LEAST, MOST, false);
  const others = sharing(pack, packs.value);
  return (
    <Card title={t(radio ? "release.title.app" : "release.title.other")} class="release">
      <p class="muted small">{t(radio ? "release.lead.app" : "release.lead.other")}</p>
      <form
        class="release-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!fault && !busy) ask(() => api.release(pack.pack, typed(minutes) ?? USUAL));
        }}
      >
        <TextField
          label={t("release.minutes")}
          unit={t("release.minutes.unit")}
          inputMode="decimal"
          value={minutes}
          onInput={setMinutes}
          error={fault ? t(`fault.${fault.text}`, { low: fixed(LEAST, 1), high: fixed(MOST, 0) }) : undefined}
        />
        <Button type="submit" icon="device" disabled={busy || fault !== undefined}>
          {t(released ? "release.longer" : radio ? "release.do.app" : "release.do.other")}
        </Button>
      </form>
      {others.length > 0 && <p class="hint">{t("release.together", { packs: others.join(", ") })}</p>}
      {error && <Notice tone="bad">{error}</Notice>}
    </Card>
  );
}
