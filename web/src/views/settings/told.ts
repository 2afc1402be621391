/** What the outputs tell of themselves, in the words and order in which the page shows it. */
import type { OutputHealth } from "../../api";
import { bytes, fixed, span } from "../../format";
import { t, textOr, type TextKey } from "../../texts";
import { moment } from "../history/ticks";

const count = (value: number): string => fixed(value, 0);

// What there is to say of each output; what is 0 is left out where `quiet`.
const ROWS: Record<OutputHealth["output"], readonly (readonly [key: string, text: (value: never) => string, quiet?: boolean])[]> = {
  mqtt: [
    ["connected_since", (value: number) => moment(value, false)],
    ["published", count],
    ["waiting", count],
    ["reconnects", count],
  ],
  modbus: [
    ["addresses", (value: string[]) => value.join(", ")],
    ["units", (value: Record<string, string>) => Object.entries(value).map(([unit, name]) => `${unit} ${name}`).join(", ")],
    ["clients", count],
    ["requests", count],
    ["exceptions", count, true],
    ["refused", count, true],
    ["hint", String],
  ],
  influx: [
    ["sent_rows", count],
    ["sent_bytes", bytes],
    ["behind_rows", count],
    ["behind_seconds", span, true],
    ["skipped_rows", count, true],
    ["last_skipped", String],
  ],
};

/** Return what an output is called: what it is, and its own name when it has one. */
export function outputTitle({ output, name }: OutputHealth): string {
  const kind = textOr(`output.${output}`, output);
  return name && name !== output ? `${kind}: ${name}` : kind;
}

/** Return names and values of what an output tells. */
export function outputRows(output: OutputHealth): [string, string][] {
  return (ROWS[output.output] ?? []).flatMap(([key, text, quiet]): [string, string][] => {
    const value = output[key];
    const nothing = value === undefined || value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
    return nothing || (quiet && value === 0) ? [] : [[t(`output.${output.output}.${key}` as TextKey), text(value as never)]];
  });
}
