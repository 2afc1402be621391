/** What the first user must type, and what is wrong with it. */
import { t } from "../../texts";

export const LEAST = 10; // characters of a password, as the gateway wants it

export interface Typed {
  code: string;
  name: string;
  password: string;
  repeat: string;
}

/** Return a sentence on how far the password is. */
export function strength(password: string): string {
  const missing = LEAST - [...password].length;
  return missing <= 0 ? t("setup.long_enough") : missing === 1 ? t("setup.short.one") : t("setup.short", { n: missing });
}

/** Return what is wrong, by field; nothing when all is well. */
export function mistakes(typed: Typed): Partial<Record<keyof Typed, string>> {
  const wrong: Partial<Record<keyof Typed, string>> = {};
  if (!typed.code.trim()) wrong.code = t("setup.code_missing");
  if (!typed.name.trim()) wrong.name = t("setup.name_missing");
  if ([...typed.password].length < LEAST) wrong.password = strength(typed.password);
  if (typed.password !== typed.repeat) wrong.repeat = t("setup.different");
  return wrong;
}
