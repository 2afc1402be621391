/** The cells of a pack as bars on one zoomed axis. */
import type { Readings } from "../../api";
import { fixed, flag, millivolts, number, quantity, volts } from "../../format";
import { Badge } from "../../parts/Badge";
import { Card } from "../../parts/Card";
import { t } from "../../texts";
import { balancingCells, cellsOf, type Cell, type Cells } from "./cells";

export function CellsCard({ readings }: { readings: Readings }) {
  const all = cellsOf(readings);
  if (!all) {
    return (
      <Card title={t("pack.cells")}>
        <p class="muted small">{t("pack.cells.none")}</p>
      </Card>
    );
  }
  const current = number(readings, "balance_current");
  const balanced = balancingCells(readings);
  const balancing = flag(readings, "balancing") === true || balanced.length > 0;
  const delta = number(readings, "cell_delta") ?? all.most - all.least;
  return (
    <Card
      title={t("pack.cells")}
      aside={
        balancing && (
          <Badge tone="info" icon="balance">
            {t("pack.cells.balancing.now")}
            {current !== null && current !== 0 && <> {quantity(current, "A", 2)}</>}
          </Badge>
        )
      }
    >
      <dl class="cell-figures">
        <div>
          <dt>{t("pack.cells.lowest")}</dt>
          <dd>
            <i class="sign low" aria-hidden="true" /> {volts(all.least, 3)} <span class="muted">#{all.cells.find((cell) => cell.lowest)?.number ?? 1}</span>
          </dd>
        </div>
        <div>
          <dt>{t("pack.cells.highest")}</dt>
          <dd>
            <i class="sign high" aria-hidden="true" /> {volts(all.most, 3)} <span class="muted">#{all.cells.find((cell) => cell.highest)?.number ?? 1}</span>
          </dd>
        </div>
        <div>
          <dt>{t("pack.cells.delta")}</dt>
          <dd>{millivolts(delta)}</dd>
        </div>
        <div>
          <dt>{t("pack.cells.mean")}</dt>
          <dd>
            <i class="sign mean" aria-hidden="true" /> {volts(all.mean, 3)}
          </dd>
        </div>
      </dl>
      <div class="cells-field">
        <ol
          class={`cells ${all.cells.length > 8 ? "two" : ""} ${all.cells.length > 16 ? "some" : ""} ${all.cells.length > 24 ? "many" : ""}`}
          style={{ "--count": String(all.cells.length) }}
        >
          {all.cells.map((cell) => (
            <CellBar key={cell.number} cell={cell} mean={all.meanShare} />
          ))}
        </ol>
      </div>
      <p class="hint">
        {t("pack.cells.axis", { low: fixed(all.low, 2), high: fixed(all.high, 2) })}
        {balanced.length > 0 && (
          <>
            {" "}
            <i class="sign balancing" aria-hidden="true" /> {t("pack.cells.balancing")}: {t("pack.cells.balancing.list", { cells: balanced.join(", ") })}.
          </>
        )}
      </p>
      <CellTable all={all} />
    </Card>
  );
}

function CellBar({ cell, mean }: { cell: Cell; mean: number }) {
  const marks = [cell.lowest && t("pack.cells.lowest"), cell.highest && t("pack.cells.highest"), cell.balancing && t("pack.cells.balancing")].filter(Boolean);
  const kind = `${cell.lowest ? "low" : ""} ${cell.highest ? "high" : ""} ${cell.balancing ? "balancing" : ""}`;
  return (
    <li class={`cell ${kind}`} style={{ "--share": cell.share + "%", "--mean": mean + "%" }}>
      <span class="cell-number">
        <span class="sr">{t("pack.cells.number")} </span>
        {cell.number}
      </span>
      <span class="cell-bar" aria-hidden="true">
        <i class="cell-fill" />
        <i class="cell-mean" />
      </span>
      <span class="cell-value">
        {cell.voltage === null ? "–" : fixed(cell.voltage, 3)}
        {marks.length > 0 && <span class="sr"> V, {marks.join(", ")}</span>}
      </span>
    </li>
  );
}

function CellTable({ all }: { all: Cells }) {
  const resistances = all.cells.some((cell) => cell.resistance !== null);
  return (
    <details class="more">
      <summary>{resistances ? t("pack.cells.resistance.show") : t("pack.cells.table")}</summary>
      <div class="scroll-x">
        <table>
          <thead>
            <tr>
              <th scope="col">{t("pack.cells.number")}</th>
              <th scope="col" class="number">
                {t("pack.cells.value")}
              </th>
              <th scope="col" class="number">
                {t("pack.cells.off_mean")}
              </th>
              {resistances && (
                <th scope="col" class="number">
                  {t("pack.cells.resistance")}
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {all.cells.map((cell) => (
              <tr key={cell.number}>
                <th scope="row">
                  {cell.number}
                  {cell.balancing && <span class="muted"> {t("pack.cells.balancing")}</span>}
                </th>
                <td class="number">{volts(cell.voltage, 3)}</td>
                <td class="number">{cell.voltage === null ? "–" : (cell.voltage > all.mean ? "+" : "") + millivolts(cell.voltage - all.mean)}</td>
                {resistances && <td class="number">{cell.resistance === null ? "–" : quantity(cell.resistance * 1000, "mΩ", 0)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
