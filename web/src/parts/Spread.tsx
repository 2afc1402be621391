/** All cells as marks on one short line, so that a lone low or high one is seen at a glance. */
import type { Readings } from "../api";
import { fixed, millivolts, number, numbers } from "../format";
import { t } from "../texts";

const NARROWEST = 0.05; // V: the line shows no less, so that good cells stand together

/** Return the window of a line of cells: [low, high] in volt. */
export function spreadWindow(low: number, high: number): [number, number] {
  const width = Math.max(NARROWEST, (high - low) * 1.15);
  const middle = (low + high) / 2;
  return [middle - width / 2, middle + width / 2];
}

/** `lowest` and `highest` say more about the extreme cells than their numbers, such as the pack's name. */
export function Spread({ readings, lowest = "", highest = "" }: { readings: Readings; lowest?: string; highest?: string }) {
  const cells = numbers(readings, "cell_voltages").filter((cell) => cell !== null);
  const low = number(readings, "cell_min") ?? (cells.length ? Math.min(...cells) : null);
  const high = number(readings, "cell_max") ?? (cells.length ? Math.max(...cells) : null);
  if (low === null || high === null) return null;
  const delta = number(readings, "cell_delta") ?? high - low;
  const [from, to] = spreadWindow(low, high);
  const at = (value: number) => ((value - from) / (to - from)) * 100 + "%";
  const lowNumber = number(readings, "cell_min_number");
  const highNumber = number(readings, "cell_max_number");
  const name = (pack: string, cell: number | null) => [pack, cell === null ? "" : "#" + cell].filter(Boolean).join(" ");
  return (
    <div class="spread">
      <div class="spread-head">
        <span class="label">{t("overview.cells")}</span>
        <span class="spread-delta">Δ {millivolts(delta)}</span>
      </div>
      <div class="spread-line" aria-hidden="true">
        <i class="spread-range" style={{ left: at(low), right: `calc(100% - ${at(high)})` }} />
        {cells.map((cell, index) => (
          <i key={index} class="spread-cell" style={{ left: at(cell) }} />
        ))}
        <i class="spread-end" style={{ left: at(low) }} />
        <i class="spread-end" style={{ left: at(high) }} />
      </div>
      <div class="spread-feet">
        <span>
          <span class="sr">{t("pack.cells.lowest")}: </span>
          {fixed(low, 3)} <span class="muted">{name(lowest, lowNumber)}</span>
        </span>
        <span class="spread-high">
          <span class="sr">{t("pack.cells.highest")}: </span>
          <span class="muted">{name(highest, highNumber)}</span> {fixed(high, 3)}
          {"\u202fV"}
        </span>
      </div>
    </div>
  );
}
