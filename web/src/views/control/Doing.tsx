/** Writes to a pack: shows what would be done, asks, shows how it goes and what came of it, and writes it back. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, type Changes, type Command, type GatewayEvent, type Result, type Value } from "../../api";
import { events } from "../../live";
import { Badge, type Tone } from "../../parts/Badge";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { TextField } from "../../parts/Field";
import type { IconName } from "../../parts/Icon";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import "./control.css";
import { textOf } from "./known";
import { backwards, canUndo, commandOf, label, sentence, shared, shown } from "./values";

/** What is to be written. undo: entries of the journal that this takes back, in the order in which it is done */
export interface Job {
  title: string;
  action: string;
  changes: Changes;
  unproven?: boolean;
  undo?: readonly number[];
}

interface Props {
  pack: string;
  commands: readonly Command[];
  job: Job;
  onClose: () => void;
  onDone?: (results: Result[]) => void; // something may have been written
}

/** Return the job that writes back what was before; `all` is in the order in which it was written. */
export function undoing(all: readonly (Pick<Result, "command" | "before" | "entry">)[]): Job {
  const back = [...all].reverse();
  return { title: t("control.undo.title"), action: t("control.undo.action"), changes: backwards(back), unproven: true, undo: back.map(({ entry }) => entry ?? 0) };
}

export const TONES: Record<string, [Tone, IconName]> = { done: ["good", "good"], refused: ["bad", "bad"], not_confirmed: ["warn", "warn"], sent: ["warn", "warn"] };

export function ResultBadge({ result }: { result: "done" | "refused" | "not_confirmed" | "sent" }) {
  const [tone, icon] = TONES[result]!;
  return (
    <Badge tone={tone} icon={icon}>
      {t(`control.result.${result}`)}
    </Badge>
  );
}

export function Doing({ pack, commands, job: first, onClose, onDone }: Props) {
  const [job, setJob] = useState(first);
  const [plan, setPlan] = useState<Result[] | null>(null);
  const [results, setResults] = useState<Result[] | null>(null);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const newest = useRef<GatewayEvent | undefined>(undefined);
  const body = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let gone = false;
    setPlan(null);
    setResults(null);
    setTyped("");
    setError("");
    api.plan(pack, job.changes, job.unproven ?? false).then(
      (found) => !gone && setPlan(found),
      (reason: unknown) => !gone && setError(textOf(reason)),
    );
    return () => (gone = true);
  }, [job]);
  // The button that was pressed is gone: whoever uses the keyboard goes on at what it led to.
  useEffect(() => {
    if (busy || results) body.current?.querySelector<HTMLElement>("[data-said]")?.focus();
  }, [busy, results]);

  const impossible = plan?.some(({ result }) => result === "refused") ?? false;
  const risky = plan?.some(({ dangers }) => dangers?.length) ?? false;
  const total = Object.keys(job.changes).length;
  const write = () => {
    setBusy(true);
    setError("");
    newest.current = events.value[0];
    (job.undo ? takeBack(pack, job.undo, typed) : api.command(pack, job.changes, job.unproven ?? false, typed)).then(
      (found) => {
        setBusy(false);
        setResults(found);
        onDone?.(found);
      },
      (reason: unknown) => {
        setBusy(false);
        setError(reason instanceof ApiError && reason.status === 0 ? t("control.doing.broken") : textOf(reason));
        onDone?.([]);
      },
    );
  };
  const came = results ?? (busy ? heard(pack, newest.current) : []);
  const back = (results ?? []).filter((one) => canUndo(one) && !commandOf(commands, one.command)?.secret);
  const asked = plan && !impossible && !busy && !results;
  return (
    <Dialog
      title={job.title}
      onClose={onClose}
      leave={busy || results ? t("dialog.close") : t("dialog.cancel")}
      actions={
        <>
          {asked && (
            <Button tone={risky ? "bad" : "main"} disabled={risky && typed !== pack} onClick={write}>
              {job.action}
            </Button>
          )}
          {back.length > 0 && !job.undo && (
            <Button icon="undo" onClick={() => setJob(undoing(back))}>
              {t("control.undo")}
            </Button>
          )}
        </>
      }
    >
      <div class="stack" ref={body}>
        {error && <Notice tone="bad">{error}</Notice>}
        {!plan && !error && <Loading text={t("control.doing.asking")} />}
        {results && <Summary results={results} commands={commands} total={total} />}
        {busy && (
          <div class="stack" data-said tabIndex={-1}>
            <p role="status">{t("control.doing.progress", { done: came.filter(({ result }) => result === "done").length, total })}</p>
            <p class="hint">{t("control.doing.away")}</p>
          </div>
        )}
        {impossible && <Notice tone="bad">{t("control.doing.impossible")}</Notice>}
        {asked && plan.length > 1 && <p class="hint">{t("control.doing.order")}</p>}
        {plan && <Steps plan={plan} commands={commands} came={came} busy={busy} over={results !== null} />}
        {asked && risky && <TextField label={t("control.doing.confirm", { name: pack })} value={typed} onInput={setTyped} />}
      </div>
    </Dialog>
  );
}

/** Write back entries of the journal one after the other, until one cannot be. */
async function takeBack(pack: string, entries: readonly number[], confirm: string): Promise<Result[]> {
  const all: Result[] = [];
  for (const entry of entries) {
    all.push(...(await api.undo(pack, entry, confirm)));
    if (all.at(-1)?.result !== "done") break;
  }
  return all;
}

/** Return the results that the gateway told since an event. */
function heard(pack: string, since: GatewayEvent | undefined): Result[] {
  const at = since ? events.value.indexOf(since) : events.value.length;
  const fresh = events.value.slice(0, at < 0 ? undefined : at).filter(({ kind, name }) => kind === "command" && name === pack);
  return fresh.map(({ detail }) => detail as unknown as Result);
}

function Summary({ results, commands, total }: { results: readonly Result[]; commands: readonly Command[]; total: number }) {
  const done = results.filter(({ result }) => result === "done");
  const said = done.every(({ command }) => !commandOf(commands, command)?.reading);
  const good = total === 1 ? (said ? t("control.doing.said") : t("control.doing.all.one")) : t("control.doing.all.many", { n: total });
  return (
    <div data-said tabIndex={-1}>
      <Notice tone={done.length === total ? "good" : "bad"}>{done.length === total ? good : t("control.doing.some", { done: done.length, total })}</Notice>
    </div>
  );
}

interface StepsProps {
  plan: readonly Result[];
  commands: readonly Command[];
  came: readonly Result[];
  busy: boolean;
  over: boolean;
}

function Steps({ plan, commands, came, busy, over }: StepsProps) {
  const unproven = (step: Result) => commandOf(commands, step.command)?.proof === "unproven";
  const told = plan.map((step) => ({
    dangers: step.dangers ?? [],
    warnings: [...(unproven(step) && step.result !== "refused" ? [t("control.unproven.hint")] : []), ...(step.warnings ?? [])],
  }));
  // What is true of several of them is said once.
  const common = { dangers: shared(told.map(({ dangers }) => dangers)), warnings: shared(told.map(({ warnings }) => warnings)) };
  const own = told.map(({ dangers, warnings }) => ({ dangers: dangers.filter((text) => !common.dangers.includes(text)), warnings: warnings.filter((text) => !common.warnings.includes(text)) }));
  const results = plan.map(({ command }) => came.find((one) => one.command === command));
  const next = results.indexOf(undefined);
  return (
    <>
      {!busy && !over && <Cautions {...common} />}
      <ol class="doing">
        {plan.map((step, index) => (
          <Step key={step.command} step={step} commands={commands} result={results[index]} cautions={!busy && !over && <Cautions {...own[index]!} />}>
            {!results[index] && busy && <span class="muted small">{t(index === next ? "control.doing.now" : "control.doing.waits")}</span>}
            {!results[index] && over && <span class="muted small">{t("control.doing.untried")}</span>}
          </Step>
        ))}
      </ol>
    </>
  );
}

function Cautions({ dangers, warnings }: { dangers: readonly string[]; warnings: readonly string[] }) {
  return (
    <>
      {[...dangers.map((text) => ["bad", text] as const), ...warnings.map((text) => ["warn", text] as const)].map(([tone, text]) => (
        <Notice key={text} tone={tone} quiet>
          {text}
        </Notice>
      ))}
    </>
  );
}

interface StepProps {
  step: Result;
  commands: readonly Command[];
  result: Result | undefined;
  cautions: ComponentChildren;
  children: ComponentChildren;
}

function Step({ step, commands, result, cautions, children }: StepProps) {
  const row = commandOf(commands, step.command);
  const state = result ?? (step.result ? step : undefined);
  const { frames = [] } = step;
  return (
    <li data-command={step.command}>
      <div class="doing-head">
        <strong>{label(step.command)}</strong>
        {state?.result && <ResultBadge result={state.result} />}
        {children}
      </div>
      {row?.kind !== "action" && <Change before={step.before} wanted={step.wanted} row={row} alone={step.result === "refused"} />}
      {result?.found !== undefined && result.result !== "refused" && <p class="small">{t("control.doing.shows", { value: shown(result.found, row) })}</p>}
      {state?.reason && <p class="doing-reason">{sentence(state.reason, commands, step.command)}</p>}
      {cautions}
      {!result && frames.length > 0 && !row?.secret && (
        <details class="more">
          <summary>{t("control.doing.bytes")}</summary>
          <p class="hint">{t("control.doing.bytes.lead")}</p>
          {frames.map((frame, index) => (
            <code key={index} class="doing-bytes">
              {frame.replace(/(..)(?=.)/g, "$1 ")}
            </code>
          ))}
        </details>
      )}
    </li>
  );
}

/** What was and what is to be; `alone`: what was need not be said when nobody knows it. */
export function Change({ before, wanted, row, alone }: { before: Value | undefined; wanted: Value | undefined; row: Command | undefined; alone?: boolean }) {
  return (
    <p class="change">
      {!(alone && before === undefined) && (
        <>
          <span class="sr">{t("control.doing.was")} </span>
          <span class="change-before">{shown(before, row)}</span>
          <span aria-hidden="true"> → </span>
        </>
      )}
      <span class="sr">{t("control.doing.becomes")} </span>
      <strong>{row?.secret ? t("control.value.secret") : shown(wanted, row)}</strong>
    </p>
  );
}
