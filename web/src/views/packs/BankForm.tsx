/** Adds or changes a bank. */
import type { BankSettings } from "../../api";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import { useForm } from "./edit";
import { type Faults, type Fields, nameFault, numberFault, typed } from "./form";

interface Props {
  bank: BankSettings | null;
  packs: readonly string[];
  banks: readonly BankSettings[]; // the others
  onClose: () => void;
  onSave: (settings: BankSettings) => Promise<void>;
}

const LEAST_PACKS = 2;

function check(fields: Fields, packs: readonly string[], taken: readonly string[]): Faults {
  const faults = nameFault(fields, taken);
  if (packs.filter((name) => fields[`in ${name}`] === true).length < LEAST_PACKS) faults.packs = { text: "few_packs" };
  const difference = numberFault(fields.join_difference, 0.01, 10);
  if (difference) faults.join_difference = difference;
  if (String(fields.join_difference).trim() === "") faults.join_difference = { text: "missing" };
  return faults;
}

export function BankForm({ bank, packs, banks, onClose, onSave }: Props) {
  const first: Fields = { name: bank?.name ?? "", join_difference: String(bank?.join_difference ?? 0.5), packs: "" };
  for (const name of packs) first[`in ${name}`] = bank?.packs.includes(name) ?? false;
  const taken = [...packs, ...banks.map((other) => other.name)];
  const form = useForm(
    first,
    (fields) => check(fields, packs, taken),
    (fields) =>
      onSave({
        name: String(fields.name).trim(),
        packs: packs.filter((name) => fields[`in ${name}`] === true),
        join_difference: typed(fields.join_difference) ?? 0.5,
      }),
  );
  const error = form.error("packs");
  return (
    <Dialog title={bank ? t("packs.bank.edit.title", { name: bank.name }) : t("packs.bank.add.title")} onClose={onClose}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        {form.general.length > 0 && (
          <Notice tone="bad">
            {t("fault.refused")} {form.general.join(" ")}
          </Notice>
        )}
        <TextField label={t("packs.bank.field.name")} value={String(form.fields.name)} onInput={(value) => form.set("name", value)} error={form.error("name")} autofocus={!bank} required />
        <fieldset class={`packs-limits${error ? " wrong" : ""}`} aria-describedby={error ? "bank-packs-error" : undefined}>
          <legend>{t("packs.bank.field.packs")}</legend>
          {packs.map((name) => {
            const other = banks.find((one) => one.packs.includes(name));
            return (
              <label key={name} class="packs-tick">
                <input
                  type="checkbox"
                  checked={form.fields[`in ${name}`] === true}
                  disabled={other !== undefined}
                  aria-invalid={error ? true : undefined}
                  onInput={(event) => {
                    form.set(`in ${name}`, event.currentTarget.checked);
                    form.set("packs", "");
                  }}
                />
                <span>
                  {name} {other && <span class="muted">({t("packs.bank.field.packs.other", { bank: other.name })})</span>}
                </span>
              </label>
            );
          })}
          {error && (
            <p class="error" id="bank-packs-error">
              {error}
            </p>
          )}
        </fieldset>
        <TextField
          label={t("packs.bank.field.join_difference")}
          hint={t("packs.bank.field.join_difference.hint")}
          value={String(form.fields.join_difference)}
          onInput={(value) => form.set("join_difference", value)}
          error={form.error("join_difference")}
          unit="V"
          inputMode="decimal"
        />
        <footer class="actions end packs-foot">
          <Button onClick={onClose}>{t("dialog.cancel")}</Button>
          <Button tone="main" type="submit" disabled={form.busy}>
            {form.busy ? t("packs.saving") : t(bank ? "packs.save" : "packs.bank.add")}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
