/** The state of charge as the one big figure of a pack or bank, its voltage below. */
import type { Readings } from "../api";
import { fixed, number, volts } from "../format";

export function Figure({ readings }: { readings: Readings }) {
  const soc = number(readings, "soc");
  return (
    <div class="figure">
      {soc === null ? "–" : fixed(soc, 0)}
      <span class="figure-unit">%</span>
      <span class="figure-more">{volts(number(readings, "voltage"))}</span>
    </div>
  );
}
