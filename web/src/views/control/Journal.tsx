/** What was written to a pack, or refused: by whom, when, and why; and writing it back. */
import { useEffect, useState } from "preact/hooks";
import { api, type Command, type JournalEntry, type Pack } from "../../api";
import { fullMoment, moment } from "../../format";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Empty, Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { t, textOr } from "../../texts";
import { Change, type Job, ResultBadge, undoing } from "./Doing";
import { textOf } from "./known";
import { canUndo, commandOf, label, sentence } from "./values";

const PART = 50; // entries fetched at a time
const MOST = 5000;

interface Props {
  pack: Pack;
  commands: readonly Command[];
  onJob: ((job: Job) => void) | undefined; // nothing can be written without it
}

/** Return the entries that were taken back by a later one. */
export function taken(entries: readonly JournalEntry[]): Set<number> {
  return new Set(entries.flatMap(({ undo, result }) => (undo && result === "done" ? [undo] : [])));
}

export function Journal({ pack, commands, onJob }: Props) {
  const [entries, setEntries] = useState<JournalEntry[] | null>(null);
  const [limit, setLimit] = useState(PART);
  const [error, setError] = useState("");
  useEffect(() => {
    let gone = false;
    api.journal(pack.pack, limit).then(
      (found) => !gone && setEntries(found),
      (reason: unknown) => !gone && setError(textOf(reason)),
    );
    return () => (gone = true);
  }, [pack.pack, limit]);
  if (error) return <Notice tone="bad">{error}</Notice>;
  if (!entries) return <Loading />;
  if (!entries.length) {
    return (
      <Empty icon="events" title={t("control.part.journal")}>
        <p>{t("control.journal.none")}</p>
      </Empty>
    );
  }
  const undone = taken(entries);
  const back = (entry: JournalEntry) => canUndo(entry) && !undone.has(entry.entry) && commandOf(commands, entry.command ?? "") !== undefined;
  const last = entries.find((entry) => back(entry) && !entry.undo);
  const undo = (entry: JournalEntry) => onJob?.(undoing([{ ...entry, command: entry.command ?? "" }]));
  return (
    <Card
      title={t("control.part.journal")}
      aside={
        onJob &&
        last && (
          <Button icon="undo" onClick={() => undo(last)}>
            {t("control.journal.last")}
          </Button>
        )
      }
    >
      <p class="hint">{t("control.journal.lead")}</p>
      <ol class="journal">
        {entries.map((entry) => (
          <li key={entry.entry} data-entry={entry.entry}>
            <div class="doing-head">
              <strong>{label(entry.command ?? "")}</strong>
              {entry.result && <ResultBadge result={entry.result} />}
              {undone.has(entry.entry) && <span class="muted small">{t("control.undone")}</span>}
              {entry.undo && <span class="muted small">{t("control.undoes", { entry: entry.undo })}</span>}
              {onJob && back(entry) && <Button icon="undo" tone="quiet" label={t("control.undo.of", { name: `${label(entry.command ?? "")} (${entry.entry})` })} onClick={() => undo(entry)} />}
            </div>
            <Change before={entry.before} wanted={entry.wanted} row={commandOf(commands, entry.command ?? "")} alone />
            {(entry.reason || entry.result === "sent") && <p class="doing-reason">{entry.reason ? sentence(entry.reason, commands, entry.command) : t("control.result.sent.why")}</p>}
            <p class="small muted">
              {entry.time !== undefined && (
                <time dateTime={new Date(entry.time * 1000).toISOString()} title={fullMoment(entry.time)}>
                  {moment(entry.time)}
                </time>
              )}{" "}
              · {t("control.journal.by", { who: entry.who ?? "", source: textOr(`control.source.${entry.source}`, entry.source ?? "") })} · {t("control.journal.entry", { entry: entry.entry })}
            </p>
          </li>
        ))}
      </ol>
      {entries.length >= limit && limit < MOST && (
        <div class="actions">
          <Button onClick={() => setLimit(Math.min(MOST, limit * 4))}>{t("control.journal.older")}</Button>
        </div>
      )}
    </Card>
  );
}
