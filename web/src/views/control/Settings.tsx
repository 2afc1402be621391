/** The settings of a pack by group: read, change, put in from a file or a chemistry, and see the difference. */
import type { Dispatch, StateUpdater } from "preact/hooks";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Command, type Grant, may, type Pack, type Value, type Wanted } from "../../api";
import { age } from "../../format";
import { Badge, type Tone } from "../../parts/Badge";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { CheckField, SelectField, TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { t, textOr } from "../../texts";
import { faultText } from "../packs/edit";
import { Change, type Job } from "./Doing";
import { type Known, textOf } from "./known";
import { agesOf, asTyped, changesOf, commandOf, eachOne, faultOf, grouped, label, type Pending, range, settingOf, shown } from "./values";

const CHEMISTRIES = ["lfp", "nmc", "lto"] as const;

export interface Props {
  pack: Pack;
  known: Known;
  can: (grant: Grant) => boolean;
  pending: Pending;
  setPending: Dispatch<StateUpdater<Pending>>;
  onJob: (job: Job) => void;
}

export function SettingsPart({ pack, known, can, pending, setPending, onJob }: Props) {
  const commands = eachOne((known.settings?.commands ?? []).filter(({ group }) => group !== "calibration"));
  const [unproven, setUnproven] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const changes = commands.filter(({ command }) => command in pending);
  const visible = commands.filter(({ proof, command }) => unproven || proof !== "unproven" || command in pending);
  const hidden = commands.some(({ proof }) => proof === "unproven");
  const type = (command: string, text: string | null) =>
    setPending((before) => {
      const { [command]: _gone, ...others } = before;
      return text === null ? others : { ...others, [command]: text };
    });
  const difference = () => {
    if (changes.some((row) => faultOf(row, pending[row.command]!))) {
      list.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
      return;
    }
    const n = changes.length;
    const action = n === 1 ? t("control.doing.write.one") : t("control.doing.write.many", { n });
    onJob({ title: t("control.doing.title"), action, changes: changesOf(commands, pending), unproven });
  };
  return (
    <>
      <Read pack={pack} known={known} />
      {may("operate") && can("operate") && <Many pack={pack} commands={commands} can={can} unproven={unproven} setPending={setPending} />}
      {hidden && <CheckField label={t("control.unproven")} hint={t("control.unproven.hint")} value={unproven} onInput={setUnproven} />}
      <div class="control-groups" ref={list}>
        {grouped(visible).map(([group, rows]) => (
          <Card key={group} title={textOr(`control.group.${group}`, group)}>
            <ul class="settings-rows">
              {rows.map((row) =>
                row.group === "actions" ? (
                  <Action key={row.command} row={row} can={can(row.grant)} unproven={unproven} onJob={onJob} />
                ) : (
                  <Row key={row.command} row={row} can={can(row.grant)} typed={pending[row.command]} onType={(text) => type(row.command, text)} />
                ),
              )}
            </ul>
          </Card>
        ))}
      </div>
      {changes.length > 0 && (
        <div class="pending" role="region" aria-label={t("control.difference")}>
          <strong role="status">{changes.length === 1 ? t("control.pending.one") : t("control.pending.many", { n: changes.length })}</strong>
          <div class="actions">
            <Button onClick={() => setPending({})}>{t("control.discard")}</Button>
            <Button tone="main" onClick={difference}>
              {t("control.difference")}
            </Button>
          </div>
        </div>
      )}
    </>
  );
}

/** When the settings were read, and reading them; the backup is of what was read just then. */
function Read({ pack, known }: { pack: Pack; known: Known }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const ages = agesOf((known.settings?.commands ?? []).filter(({ group }) => group !== "calibration"));
  const problems = known.settings?.problems ?? [];
  const read = (then: () => void) => {
    setBusy(true);
    setError("");
    api.readSettings(pack.pack).then(
      (found) => {
        setBusy(false);
        known.take(found);
        then();
      },
      (reason: unknown) => {
        setBusy(false);
        setError(textOf(reason));
      },
    );
  };
  const when = () => {
    if (!ages) return t("control.read.never");
    const [newest, oldest] = [age(ages[0] + known.since), age(ages[1] + known.since)];
    return newest === oldest ? t("control.read.age", { age: newest }) : t("control.read.oldest", { newest, oldest });
  };
  return (
    <>
      <div class="row control-read">
        <span class="muted small" role="status">
          {busy ? t("control.read.busy") : when()}
        </span>
        <div class="actions">
          <Button icon="eye" disabled={busy} onClick={() => read(() => undefined)}>
            {t("control.read")}
          </Button>
          <Button icon="download" disabled={busy} onClick={() => read(() => download(api.backupAddress(pack.pack)))}>
            {t("control.backup")}
          </Button>
        </div>
      </div>
      {error && <Notice tone="bad">{error}</Notice>}
      {problems.length > 0 && (
        <Notice tone="warn">
          {t("control.read.problems")} {problems.join("; ")}
        </Notice>
      )}
    </>
  );
}

function download(address: string): void {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = "";
  anchor.click();
}

interface ManyProps {
  pack: Pack;
  commands: readonly Command[];
  can: (grant: Grant) => boolean;
  unproven: boolean;
  setPending: Dispatch<StateUpdater<Pending>>;
}

interface Loaded {
  count: number;
  from: string;
  warnings: string[];
  skipped: [command: string, why: string][];
}

/** A backup or the starting values of a chemistry, put into the list of changes. */
function Many({ pack, commands, can, unproven, setPending }: ManyProps) {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [error, setError] = useState("");
  const [open, setOpen] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const take = (from: string, wanted: Promise<Wanted>) => {
    setError("");
    setLoaded(null);
    wanted.then(
      ({ changes, warnings, skipped }) => {
        const rows = Object.entries(changes);
        const mine = rows.filter(([command]) => can(commandOf(commands, command)?.grant ?? "service"));
        const others = rows.filter((row) => !mine.includes(row)).map(([command]): [string, string] => [command, t("control.needs", { grant: commandOf(commands, command)?.grant ?? "" })]);
        setPending(Object.fromEntries(mine.map(([command, value]) => [command, asTyped(value)])));
        setLoaded({ count: mine.length, from, warnings, skipped: [...others, ...Object.entries(skipped)] });
      },
      (reason: unknown) => setError(textOf(reason)),
    );
  };
  const restore = async (chosen: File) => api.restore(pack.pack, await chosen.text(), unproven);
  return (
    <details class="more control-many" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("control.many")}</summary>
      <div class="stack">
        <p class="hint">{t("control.many.lead")}</p>
        <div class="row control-sources">
          <input
            ref={file}
            type="file"
            accept=".toml,application/toml,text/plain"
            class="sr"
            tabIndex={-1}
            aria-label={t("control.restore")}
            onChange={(event) => {
              const chosen = event.currentTarget.files?.[0];
              if (chosen) take(chosen.name, restore(chosen));
              event.currentTarget.value = ""; // the same one may be chosen again
            }}
          />
          <Button icon="upload" onClick={() => file.current?.click()}>
            {t("control.restore")}
          </Button>
          <SelectField
            label={t("control.preset")}
            value=""
            onInput={(chosen) => chosen && take(chosen.toUpperCase(), api.preset(pack.pack, chosen, unproven))}
            options={[["", t("control.preset.choose")], ...CHEMISTRIES.map((name) => [name, t(`packs.chemistry.${name}`)] as const)]}
          />
        </div>
        {error && <Notice tone="bad">{error}</Notice>}
        {loaded && <Told loaded={loaded} />}
      </div>
    </details>
  );
}

function Told({ loaded: { count, from, warnings, skipped } }: { loaded: Loaded }) {
  const text = count === 0 ? t("control.loaded.none", { from }) : count === 1 ? t("control.loaded.one", { from }) : t("control.loaded", { n: count, from });
  return (
    <>
      <Notice tone={count ? "good" : "info"}>{text}</Notice>
      {warnings.map((warning) => (
        <Notice key={warning} tone="warn">
          {warning}
        </Notice>
      ))}
      {skipped.length > 0 && (
        <details class="more">
          <summary>{t("control.loaded.skipped", { n: skipped.length })}</summary>
          <ul class="small">
            {skipped.map(([command, why]) => (
              <li key={command}>
                <strong>{label(command)}</strong>: {why}
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const PROOFS: Record<Command["proof"], Tone> = { captured: "good", agreed: "info", unproven: "warn" };

function Proof({ proof }: { proof: Command["proof"] }) {
  return (
    <Badge tone={PROOFS[proof]} title={t(`control.proof.${proof}.means`)}>
      {t(`control.proof.${proof}`)}
    </Badge>
  );
}

function Named({ row }: { row: Command }) {
  return (
    <div class="setting-name">
      <span>{label(row.command)}</span> <Proof proof={row.proof} />
      {row.meaning && <p class="hint">{row.meaning}</p>}
    </div>
  );
}

interface RowProps {
  row: Command;
  can: boolean;
  typed: string | undefined;
  onType: (text: string | null) => void;
}

function Row({ row, can, typed, onType }: RowProps) {
  const name = label(row.command);
  const edited = typed !== undefined;
  const bad = edited && faultOf(row, typed) !== undefined;
  const field = useRef<HTMLDivElement>(null);
  const pressed = useRef(false);
  const press = () => {
    pressed.current = !edited;
    onType(edited ? null : asTyped(row.value));
  };
  // Who asked for the field wants to type; one that a backup opened must not draw the attention to itself.
  useEffect(() => {
    if (edited && pressed.current) field.current?.querySelector<HTMLElement>("input, select")?.focus();
  }, [edited]);
  return (
    <li class={edited ? "setting edited" : "setting"} data-command={row.command}>
      <Named row={row} />
      <div class="setting-value">
        {edited && !bad && typed !== asTyped(row.value) ? <Change before={row.value} wanted={settingOf(row, typed) as Value} row={row} /> : <Now row={row} />}
        {can && <Button icon={edited ? "close" : "edit"} tone="quiet" label={t(edited ? "control.drop.of" : "control.edit.of", { name })} onClick={press} />}
      </div>
      {can && edited && (
        <div class="setting-edit" ref={field}>
          <Edit row={row} typed={typed} onType={onType} />
        </div>
      )}
    </li>
  );
}

function Now({ row }: { row: Command }) {
  const known = row.value !== undefined || row.secret;
  return <span class={known ? "setting-now" : "muted"}>{known ? shown(row.value, row) : t("control.value.unread")}</span>;
}

function Edit({ row, typed, onType }: { row: Command; typed: string; onType: (text: string) => void }) {
  const name = t("control.new.of", { name: label(row.command) });
  const field = { label: name, hint: range(row), error: faultText(faultOf(row, typed)), value: typed, onInput: onType };
  if (row.kind === "switch" || row.kind === "choice") {
    const words = row.kind === "switch" ? (["on", "off"] as const).map((word) => [word, t(`value.${word}`)] as const) : (row.words ?? []).map((word) => [word, word] as const);
    return <SelectField {...field} options={typed === "" ? [["", "–"], ...words] : words} />;
  }
  return <TextField {...field} type={row.secret ? "password" : "text"} autocomplete={row.secret ? "new-password" : "off"} inputMode={row.kind === "number" ? "decimal" : "text"} />;
}

/** Something that is done once, or for some seconds. */
function Action({ row, can, unproven, onJob }: { row: Command; can: boolean; unproven: boolean; onJob: (job: Job) => void }) {
  const [seconds, setSeconds] = useState(asTyped(row.low));
  const name = label(row.command);
  const timed = row.kind !== "action";
  const fault = timed ? faultOf(row, seconds) : undefined;
  const begin = () => onJob({ title: t("control.do.title", { name }), action: t("control.do"), changes: { [row.command]: timed ? settingOf(row, seconds) : true }, unproven });
  return (
    <li class="setting" data-command={row.command}>
      <Named row={row} />
      {can && (
        <div class="setting-value">
          {timed && <TextField label={t("control.do.seconds", { name })} hint={range(row)} error={faultText(fault)} value={seconds} onInput={setSeconds} inputMode="decimal" unit="s" />}
          <Button tone={row.danger ? "bad" : "plain"} label={t("control.do.of", { name })} disabled={fault !== undefined} onClick={begin}>
            {t("control.do")}
          </Button>
        </div>
      )}
    </li>
  );
}
