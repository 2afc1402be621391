/** What forms have in common: fields, what is wrong with them before and after they were sent. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Mistake } from "../../api";
import { t } from "../../texts";
import { byField, type Fault, type Faults, type Fields } from "./form";

/** Return the text for a fault. */
export function faultText(fault: Fault | undefined): string {
  return fault ? t(`fault.${fault.text}`, { low: fault.low ?? "", high: fault.high ?? "" }) : "";
}

/** Return a mistake of the gateway as sentences: what is wrong, and what to do. */
export function mistakeText({ problem, fix }: Mistake): string {
  return [problem, fix].filter(Boolean).map(sentence).join(" ");
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

export interface Form {
  fields: Fields;
  set: (key: string, value: string | boolean) => void;
  error: (key: string) => string | undefined;
  general: string[]; // what the gateway says that belongs to no field
  busy: boolean;
  send: (event: Event) => void;
  element: { current: HTMLFormElement | null };
}

/** Keep a form: `check` says what is wrong before `save` sends it; the gateway's mistakes go to their fields. */
export function useForm(first: Fields, check: (fields: Fields) => Faults, save: (fields: Fields) => Promise<void>): Form {
  const [fields, setFields] = useState(first);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [mistakes, setMistakes] = useState<Record<string, string[]>>({});
  const [refused, setRefused] = useState(0);
  const element = useRef<HTMLFormElement>(null);
  const faults = tried ? check(fields) : {};

  // Whoever cannot see the marks is brought to the first of them.
  useEffect(() => {
    if (refused) element.current?.querySelector<HTMLElement>("[aria-invalid=true], .notice.bad")?.focus();
  }, [refused]);

  const send = (event: Event) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(check(fields)).length > 0) {
      setRefused(refused + 1);
      return;
    }
    setBusy(true);
    setMistakes({});
    save(fields).then(
      () => setBusy(false),
      (reason: unknown) => {
        setBusy(false);
        setMistakes(reasons(reason, Object.keys(fields)));
        setRefused(refused + 1);
      },
    );
  };
  return {
    fields,
    set: (key, value) => {
      setFields((before) => ({ ...before, [key]: value }));
      setMistakes(({ [key]: _gone, ...others }) => others);
    },
    error: (key) => faultText(faults[key]) || mistakes[key]?.join(" ") || undefined,
    general: mistakes[""] ?? [],
    busy,
    send,
    element,
  };
}

function reasons(reason: unknown, keys: readonly string[]): Record<string, string[]> {
  if (!(reason instanceof ApiError)) return { "": [String(reason)] };
  if (reason.mistakes.length === 0) return { "": [reason.text] };
  const found = byField(reason.mistakes, keys);
  return Object.fromEntries(
    Object.entries(found).map(([key, all]) => [key, all.map((mistake) => (key === "" ? `${mistake.key}: ${mistakeText(mistake)}` : mistakeText(mistake)))]),
  );
}
