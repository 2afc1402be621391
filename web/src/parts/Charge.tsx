/** How full something is, as a battery that is filled: the figure stands beside it. */
import { percent } from "../format";
import { t } from "../texts";

interface Props {
  soc: number | null;
  full?: boolean; // wide, in the pack's own view
}

/** Return the tone of a state of charge: low ones are to be seen from afar. */
export function chargeTone(soc: number | null): string {
  return soc === null ? "none" : soc <= 10 ? "bad" : soc <= 20 ? "warn" : "";
}

export function Charge({ soc, full }: Props) {
  const share = soc === null ? 0 : Math.max(0, Math.min(100, soc));
  return (
    <div
      class={`charge ${chargeTone(soc)} ${full ? "large" : ""}`}
      role="meter"
      aria-label={t("overview.soc")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share)}
      aria-valuetext={soc === null ? t("value.unknown") : percent(soc)}
    >
      <div class="charge-body">
        <div class="charge-fill" style={{ width: share + "%" }} />
      </div>
    </div>
  );
}
