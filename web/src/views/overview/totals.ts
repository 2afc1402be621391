/** Adds up what all packs come to, only from those whose values are fresh. */
import type { Pack, State } from "../../api";
import { number, powerOf } from "../../format";

export interface Totals {
  power: number | null; // W
  soc: number | null; // %, weighted by capacity
  energy: number | null; // kWh in the packs now
  online: number;
  total: number;
  problems: number;
}

export function totals(packs: Pack[], stateOf: (pack: Pack) => State): Totals {
  const fresh = packs.filter((pack) => stateOf(pack) === "online");
  const sum = (values: (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length ? known.reduce((total, value) => total + value, 0) : null;
  };
  const weighed = fresh.flatMap(({ readings }) => {
    const soc = number(readings, "soc");
    const capacity = number(readings, "full_capacity") ?? number(readings, "design_capacity");
    const voltage = number(readings, "voltage");
    return soc === null ? [] : [{ soc, weight: (capacity ?? 1) * (voltage ?? 1) }];
  });
  const weight = weighed.reduce((total, one) => total + one.weight, 0);
  return {
    power: sum(fresh.map(powerOf)),
    soc: weight ? weighed.reduce((total, one) => total + one.soc * one.weight, 0) / weight : null,
    energy: sum(
      fresh.map(({ readings }) => {
        const charge = number(readings, "remaining_capacity");
        const voltage = number(readings, "voltage");
        return charge === null || voltage === null ? null : (charge * voltage) / 1000;
      }),
    ),
    online: fresh.length,
    total: packs.length,
    problems: packs.reduce((count, pack) => count + new Set(pack.problems).size, 0),
  };
}
