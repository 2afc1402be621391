/** Adds or changes a pack. */
import { GRANTS, type PackSettings, type ScannedLink } from "../../api";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { CheckField, SelectField, TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { t, textOr, type TextKey } from "../../texts";
import { useForm } from "./edit";
import { type Fields, onAir, packFaults, packFields, packSettings } from "./form";

const DIALECTS: Record<string, readonly string[]> = {
  jk: ["jk-uart", "jk-pb", "jk-modbus", "jk02", "jk04"],
  jbd: ["jbd", "jbd-addr", "jbd-up"],
  daly: ["daly-a5", "daly-d2", "daly-p81"],
};
const PAIRINGS = ["never", "just-works", "passkey"] as const;
const CHEMISTRIES = ["", "lfp", "nmc", "lto"] as const;

export function dialectName(name: string): string {
  return textOr(`packs.dialect.${name}`, textOr(`packs.family.${name}`, name));
}

/** Return protocols to choose from; the one that is set is always among them. */
function families(now: string): [string, string][] {
  const found: [string, string][] = [["", t("packs.field.family.auto")]];
  for (const [family, dialects] of Object.entries(DIALECTS)) {
    found.push([family, t("packs.field.family.any", { family: t(`packs.family.${family}` as TextKey) })]);
    // The name of the dialect jbd is also its family's, and stands for all of them.
    for (const dialect of dialects) if (dialect !== family) found.push([dialect, dialectName(dialect)]);
  }
  return found.some(([key]) => key === now) ? found : [...found, [now, dialectName(now)]];
}

interface Props {
  pack: Partial<PackSettings>;
  isNew: boolean;
  taken: readonly string[]; // names of the other packs and of the banks
  links: readonly ScannedLink[];
  onClose: () => void;
  onSave: (settings: PackSettings) => Promise<void>;
}

export function PackForm({ pack, isNew, taken, links, onClose, onSave }: Props) {
  const form = useForm(
    packFields(pack),
    (fields) => packFaults(fields, taken),
    (fields: Fields) => onSave(packSettings(fields, isNew ? null : pack)),
  );
  const { fields, set, error } = form;
  const text = (key: string, more: object = {}) => (
    <TextField
      label={t(`packs.field.${key}` as TextKey)}
      hint={textOr(`packs.field.${key}.hint`, "")}
      value={String(fields[key])}
      onInput={(value) => set(key, value)}
      error={error(key)}
      {...more}
    />
  );
  const number = (key: string, unit: string, optional = true) => text(key, { inputMode: "decimal", unit, optional });
  return (
    <Dialog title={isNew ? t("packs.add.title") : t("packs.edit.title", { name: pack.name ?? "" })} onClose={onClose}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        {form.general.length > 0 && (
          <Notice tone="bad">
            {t("fault.refused")} {form.general.join(" ")}
          </Notice>
        )}
        {text("name", { autofocus: isNew, required: true })}
        {text("link", { list: "packs-links", required: true })}
        <datalist id="packs-links">
          {links.map((one) => (
            <option key={one.link} value={one.link} />
          ))}
        </datalist>
        <div class="packs-two">
          <SelectField
            label={t("packs.field.family")}
            hint={t("packs.field.family.hint")}
            value={String(fields.family)}
            onInput={(value) => set("family", value)}
            options={families(String(fields.family))}
            error={error("family")}
          />
          {text("address", { inputMode: "numeric", optional: true })}
        </div>
        {onAir(String(fields.link)) && (
          <div class="packs-two">
            <SelectField
              label={t("packs.field.pairing")}
              hint={t("packs.field.pairing.hint")}
              value={String(fields.pairing)}
              onInput={(value) => set("pairing", value)}
              options={PAIRINGS.map((name) => [name, t(`packs.pairing.${name}`)] as const)}
              error={error("pairing")}
            />
            {text("pin", { optional: true })}
          </div>
        )}
        <div class="packs-two">
          {number("every", "s", false)}
          {number("capacity", "Ah")}
        </div>
        <CheckField
          label={t("packs.field.invert_current")}
          hint={t("packs.field.invert_current.hint")}
          value={fields.invert_current === true}
          onInput={(value) => set("invert_current", value)}
        />
        <SelectField
          label={t("packs.field.grant")}
          hint={t("packs.field.grant.hint")}
          value={String(fields.grant)}
          onInput={(value) => set("grant", value)}
          options={GRANTS.map((name) => [name, t(`packs.grant.${name}`)] as const)}
          error={error("grant")}
        />
        <fieldset class="packs-limits">
          <legend>{t("packs.field.limits")}</legend>
          <p class="hint">{t("packs.field.limits.lead")}</p>
          <div class="packs-two">
            <SelectField
              label={t("packs.field.limits.chemistry")}
              value={String(fields["limits.chemistry"])}
              onInput={(value) => set("limits.chemistry", value)}
              options={CHEMISTRIES.map((name) => [name, t(`packs.chemistry.${name}`)] as const)}
              error={error("limits.chemistry")}
            />
            {number("limits.charge_voltage", "V")}
            {number("limits.charge_current", "A")}
            {number("limits.discharge_current", "A")}
          </div>
        </fieldset>
        <footer class="actions end packs-foot">
          <Button onClick={onClose}>{t("dialog.cancel")}</Button>
          <Button tone="main" type="submit" disabled={form.busy}>
            {form.busy ? t("packs.saving") : t(isNew ? "packs.add" : "packs.save")}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
