/** Every reading of a pack by group of the catalogue, to be searched. */
import { useSignal } from "@preact/signals";
import type { CatalogueReading, Pack } from "../../api";
import { readingLabel, valueText } from "../../format";
import { catalogue } from "../../live";
import { Card } from "../../parts/Card";
import { Icon } from "../../parts/Icon";
import { t, textOr } from "../../texts";

interface Row {
  name: string;
  label: string;
  value: string;
  meaning: string;
}

/** Return the readings that fit the search, by group, in the catalogue's order; unknown ones at the end. */
export function grouped(pack: Pack, all: readonly CatalogueReading[], search: string): [group: string, rows: Row[]][] {
  const wanted = search.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const known = new Set(all.map((row) => row.name));
  const others = Object.keys(pack.readings).filter((name) => !known.has(name));
  const groups = new Map<string, Row[]>();
  const add = (name: string, row?: CatalogueReading) => {
    const label = readingLabel(name);
    const meaning = row?.meaning ?? "";
    const heap = `${name} ${label} ${meaning}`.toLowerCase();
    if (!wanted.every((word) => heap.includes(word))) return;
    const group = row?.group ?? "other";
    groups.set(group, [...(groups.get(group) ?? []), { name, label, meaning, value: valueText(pack.readings[name], row) }]);
  };
  for (const row of all) if (row.name in pack.readings) add(row.name, row);
  for (const name of others) add(name);
  return [...groups];
}

export function AllReadings({ pack }: { pack: Pack }) {
  const search = useSignal("");
  const groups = grouped(pack, catalogue.value?.readings ?? [], search.value);
  const count = groups.reduce((sum, [, rows]) => sum + rows.length, 0);
  return (
    <Card title={t("pack.all")} aside={t("pack.all.count", { n: count })}>
      <div class="search">
        <Icon name="search" />
        <input type="search" aria-label={t("pack.all.search")} placeholder={t("pack.all.search")} value={search.value} onInput={(event) => (search.value = event.currentTarget.value)} />
      </div>
      {!groups.length && <p class="muted small">{t("pack.all.none", { text: search.value })}</p>}
      <div class="groups">
        {groups.map(([group, rows]) => (
          <details key={group} class="group" open={!!search.value || group === "pack" || undefined}>
            <summary>
              {textOr("group." + group, group)} <span class="muted">{rows.length}</span>
            </summary>
            <dl class="readings">
              {rows.map((row) => (
                <div key={row.name} title={row.name}>
                  <dt>
                    {row.label}
                    {row.meaning && <span class="reading-meaning">{row.meaning}</span>}
                  </dt>
                  <dd>{row.value}</dd>
                </div>
              ))}
            </dl>
          </details>
        ))}
      </div>
    </Card>
  );
}
