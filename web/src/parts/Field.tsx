/** Inputs with their label, hint and mistake. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { t } from "../texts";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string;
  optional?: boolean;
  unit?: string;
  children: (ids: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean | undefined }) => ComponentChildren;
}

/** Any input: the function gets the attributes that tie it to its label, hint and mistake. */
export function Field({ label, hint, error, optional, unit, children }: FieldProps) {
  const id = useId();
  const described = [hint ? id + "h" : "", error ? id + "e" : ""].filter(Boolean).join(" ");
  return (
    <div class={error ? "field wrong" : "field"}>
      <label for={id}>
        {label}
        {optional && <span class="muted"> ({t("field.optional")})</span>}
      </label>
      <div class="field-input">
        {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
        {unit && <span class="field-unit">{unit}</span>}
      </div>
      {hint && (
        <p class="hint" id={id + "h"}>
          {hint}
        </p>
      )}
      {error && (
        <p class="error" id={id + "e"}>
          {error}
        </p>
      )}
    </div>
  );
}

type Common = Omit<FieldProps, "children">;

interface TextProps extends Common {
  value: string;
  onInput: (value: string) => void;
  type?: "text" | "password" | "number" | "date" | "datetime-local" | "time" | "search" | "url";
  name?: string;
  autocomplete?: string;
  placeholder?: string;
  inputMode?: "text" | "decimal" | "numeric";
  list?: string;
  required?: boolean;
  autofocus?: boolean;
  disabled?: boolean;
}

export function TextField({ value, onInput, type = "text", name, autocomplete = "off", placeholder, inputMode, list, required, autofocus, disabled, ...field }: TextProps) {
  return (
    <Field {...field}>
      {(ids) => (
        <input
          {...ids}
          type={type as "text"} // one of many; the types of JSX want it known beforehand
          name={name}
          value={value}
          autocomplete={autocomplete}
          placeholder={placeholder}
          inputMode={inputMode}
          list={list}
          required={required}
          autofocus={autofocus}
          disabled={disabled}
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface SelectProps extends Common {
  value: string;
  onInput: (value: string) => void;
  options: readonly (readonly [value: string, text: string])[];
  disabled?: boolean;
}

export function SelectField({ value, onInput, options, disabled, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {(ids) => (
        <select {...ids} value={value} disabled={disabled} onInput={(event) => onInput(event.currentTarget.value)}>
          {options.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A box to tick, its label beside it. */
export function CheckField({ label, value, onInput, hint, disabled }: { label: string; value: boolean; onInput: (value: boolean) => void; hint?: string; disabled?: boolean }) {
  const id = useId();
  return (
    <div class="field check">
      <input type="checkbox" id={id} checked={value} disabled={disabled} aria-describedby={hint ? id + "h" : undefined} onInput={(event) => onInput(event.currentTarget.checked)} />
      <div>
        <label for={id}>{label}</label>
        {hint && (
          <p class="hint" id={id + "h"}>
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
