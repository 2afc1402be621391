/** The calibration assistant: what the BMS measures beside what a meter shows. */
import { useState } from "preact/hooks";
import { type Command, type Grant, type Pack, type Value } from "../../api";
import { amperes, number, unitSign, words } from "../../format";
import { stateOf, type Kept } from "../../live";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { t, textOr } from "../../texts";
import { faultText } from "../packs/edit";
import type { Job } from "./Doing";
import { faultOf, label, type Pending, range, settingOf, shown } from "./values";

interface Props {
  pack: Kept<Pack>;
  rows: readonly Command[];
  can: (grant: Grant) => boolean;
  onJob: (job: Job) => void;
}

/** Return what the BMS measures now of each cell or sensor of a command; only those that it has. */
export function measured(row: Command, pack: Pick<Pack, "readings">): Value[] {
  const live = row.reading ? pack.readings[row.reading] : undefined;
  const list = Array.isArray(live) ? live : Array.isArray(row.value) ? row.value : [];
  return list.slice(0, row.count ?? 0);
}

export function Calibration({ pack, rows, can, onJob }: Props) {
  const fresh = stateOf(pack) === "online";
  const lists = rows.filter(({ count }) => count);
  const singles = rows.filter(({ count }) => !count);
  const begin = (row: Command, changes: Job["changes"]) =>
    onJob({ title: t("control.calibration.title"), action: t("control.calibration.action"), changes, unproven: row.proof === "unproven" });
  const part = (row: Command) => ({ row, pack, can: can(row.grant), fresh, begin: (changes: Job["changes"]) => begin(row, changes) });
  return (
    <>
      <Notice tone="warn" quiet>
        {t("control.calibration.lead")}
      </Notice>
      {!fresh && <Notice tone="bad">{t("control.calibration.stale")}</Notice>}
      {rows.some(({ proof }) => proof === "unproven") && <p class="hint">{t("control.unproven.hint")}</p>}
      <div class="control-groups pairwise">
        {singles.length > 0 && (
          <Card title={t("control.calibration.current")} aside={t("control.calibration.current.now", { current: amperes(number(pack.readings, "current")) })}>
            {singles.map((row) => (
              <Single key={row.command} {...part(row)} />
            ))}
          </Card>
        )}
        {lists.map((row) => (
          <Listed key={row.command} {...part(row)} />
        ))}
      </div>
    </>
  );
}

interface PartProps {
  row: Command;
  pack: Pick<Pack, "readings">;
  can: boolean;
  fresh: boolean;
  begin: (changes: Job["changes"]) => void;
}

function Listed({ row, pack, can, fresh, begin }: PartProps) {
  const [typed, setTyped] = useState<Pending>({});
  const values = measured(row, pack);
  const filled = Object.entries(typed).filter(([, text]) => text.trim() !== "");
  const wrong = filled.some(([, text]) => faultOf(row, text));
  const name = words(row.command);
  if (!values.length) return null;
  return (
    <Card title={name} class="calibration">
      <p class="hint">{[row.meaning, range(row)].filter(Boolean).join(" · ")}</p>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("control.calibration.number")}</th>
            <th scope="col" class="number">
              {t("control.calibration.shows")}
            </th>
            {can && <th scope="col">{t("control.calibration.true")}</th>}
          </tr>
        </thead>
        <tbody>
          {values.map((value, index) => {
            const key = `${row.command}/${index + 1}`;
            const text = typed[key] ?? "";
            const fault = text.trim() === "" ? "" : faultText(faultOf(row, text));
            return (
              <tr key={key}>
                <th scope="row">{index + 1}</th>
                <td class="number">{shown(value, row)}</td>
                {can && (
                  <td>
                    <input
                      type="text"
                      inputMode="decimal"
                      autocomplete="off"
                      value={text}
                      disabled={!fresh || value === null}
                      aria-label={t("control.calibration.true.of", { name: label(key) })}
                      aria-invalid={fault ? true : undefined}
                      onInput={({ currentTarget: { value: now } }) => setTyped((before) => ({ ...before, [key]: now }))}
                    />
                    {fault && <p class="error">{fault}</p>}
                  </td>
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
      {can && (
        <div class="actions end">
          <Button
            tone="bad"
            label={t("control.calibration.action.of", { name })}
            disabled={!fresh || !filled.length || wrong}
            onClick={() => begin(Object.fromEntries(filled.map(([key, text]) => [key, settingOf(row, text)])))}
          >
            {t("control.calibration.action")}
          </Button>
        </div>
      )}
    </Card>
  );
}

function Single({ row, pack, can, fresh, begin }: PartProps) {
  const [typed, setTyped] = useState("");
  const name = label(row.command);
  const action = row.kind === "action";
  const fault = action || typed === "" ? undefined : faultOf(row, typed);
  const live = row.reading ? pack.readings[row.reading] : undefined;
  return (
    <div class="calibration-single" role="group" aria-label={name} data-command={row.command}>
      <div class="setting-name">
        <strong>{name}</strong>
        <p class="hint">{textOr(`control.calibrate.${row.command}`, row.meaning)}</p>
        {live !== undefined && row.reading !== "current" && (
          <p class="small">
            {t("control.calibration.shows")} {shown(live, row)}
          </p>
        )}
      </div>
      {can && (
        <div class="setting-value">
          {!action && (
            <TextField
              label={t("control.calibration.true")}
              hint={range(row)}
              error={faultText(fault)}
              value={typed}
              onInput={setTyped}
              inputMode="decimal"
              unit={unitSign(row.unit ?? "")}
              disabled={!fresh}
            />
          )}
          <Button
            tone="bad"
            label={t("control.calibration.action.of", { name })}
            disabled={!fresh || (!action && (typed.trim() === "" || fault !== undefined))}
            onClick={() => begin({ [row.command]: action ? true : settingOf(row, typed) })}
          >
            {t("control.calibration.action")}
          </Button>
        </div>
      )}
    </div>
  );
}
