/** Tells a screen reader what changed: states of packs and banks, problems that came. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { words } from "../format";
import { banks, packs, stateOf, stream } from "../live";
import { t, textOr } from "../texts";

export function Announcer() {
  const said = useSignal("");
  const before = useRef<Map<string, { state: string; problems: string[] }> | null>(null);
  const all = [...packs.value.map((pack) => ({ kept: pack, name: pack.pack })), ...banks.value.map((bank) => ({ kept: bank, name: bank.bank }))];
  const now = new Map(all.map(({ kept, name }) => [kept.id + name, { name, state: stateOf(kept), problems: kept.problems }]));
  const key = JSON.stringify([...now]);
  useEffect(() => {
    const sentences: string[] = [];
    for (const [id, { name, state, problems }] of now) {
      const old = before.current?.get(id);
      if (!old) continue;
      if (old.state !== state) sentences.push(t("state.changed", { name, state: textOr("state." + state, state) }));
      for (const alarm of problems) if (!old.problems.includes(alarm)) sentences.push(`${name}: ${words(alarm)}`);
    }
    before.current = now;
    if (sentences.length) said.value = sentences.join(". ");
  }, [key]);
  const line = stream.value === "down" ? t("stream.down.short") : "";
  return (
    <div class="sr" aria-live="polite">
      {line || said.value}
    </div>
  );
}
