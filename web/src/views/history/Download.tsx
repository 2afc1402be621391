/** Links to everything stored of the packs in the stretch shown. */
import { api, type StoredPack } from "../../api";
import { LinkButton } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { t } from "../../texts";
import type { Moments } from "./span";
import { stretch } from "./ticks";

const FORMATS = ["csv", "jsonl"] as const;

export function Download({ packs, shown, onClose }: { packs: readonly StoredPack[]; shown: Moments; onClose: () => void }) {
  const span = { start: Math.floor(shown.start), end: Math.ceil(shown.end) };
  return (
    <Dialog title={t("history.download.title")} onClose={onClose}>
      <p class="muted">{t("history.download.lead", { stretch: stretch(span.start, span.end) })}</p>
      <ul class="history-downloads">
        {packs.map((pack) => (
          <li key={pack.id}>
            <span>{pack.name || pack.id}</span>
            {FORMATS.map((format) => (
              <LinkButton key={format} icon="download" href={api.exportAddress({ of: pack.id, ...span, format })} download label={t(`history.download.${format}.of`, { name: pack.name || pack.id })}>
                {t(`history.download.${format}`)}
              </LinkButton>
            ))}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
