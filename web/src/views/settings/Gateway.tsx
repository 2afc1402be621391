/** The settings of the history and of the page, each with what it means. */
import { useState } from "preact/hooks";
import { api, type Configuration, type HistorySettings, type WebSettings } from "../../api";
import { span } from "../../format";
import { health } from "../../live";
import { Card } from "../../parts/Card";
import { CheckField, Field, SelectField, TextField } from "../../parts/Field";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import { useForm } from "../packs/edit";
import { type Faults, type Fields, numberFault, typed } from "../packs/form";
import { useConfiguration } from "../packs/Packs";
import { daysUntilFull, grownADay, hosts, isHost, isPrefix, megabytes, writtenADay } from "./figures";
import { justSaved, noteSaved, Save } from "./saved";

export function Gateway() {
  const { configuration, error } = useConfiguration();
  if (!configuration) return error ? <Notice tone="bad">{error}</Notice> : <Loading />;
  return (
    <>
      {!configuration.writable && <Notice tone="warn">{t("settings.unwritable", { path: configuration.path })}</Notice>}
      <div class="settings-two">
        <HistoryForm key={JSON.stringify(configuration.history)} settings={configuration.history} packs={configuration.packs.length} writable={configuration.writable} />
        <WebForm key={JSON.stringify(configuration.web)} settings={configuration.web} writable={configuration.writable} />
      </div>
      <File configuration={configuration} />
    </>
  );
}

const PROFILES = [10, 60, 300] as const;
const OWN = "own";

function text(value: number | undefined, other: number): string {
  return String(value ?? other);
}

const LIMITS: readonly (readonly [string, number, number])[] = [
  ["every", 0.2, 3600],
  ["commit", 1, 3600],
  ["keep_raw", 1, 36500],
  ["keep_minutes", 1, 36500],
  ["size", 10, 1000000],
];

export function historyFaults(fields: Fields): Faults {
  const faults: Faults = {};
  for (const [key, low, high] of LIMITS) {
    const fault = String(fields[key]).trim() === "" ? ({ text: "missing" } as const) : numberFault(fields[key], low, high);
    if (fault) faults[key] = fault;
  }
  const raw = typed(fields.keep_raw);
  const minutes = typed(fields.keep_minutes);
  if (!faults.keep_raw && !faults.keep_minutes && raw !== null && minutes !== null && minutes < raw) faults.keep_minutes = { text: "order", low: raw };
  return faults;
}

function HistoryForm({ settings, packs, writable }: { settings: HistorySettings; packs: number; writable: boolean }) {
  const [saved, setSaved] = useState(justSaved("history"));
  const form = useForm(
    {
      enabled: settings.enabled ?? true,
      every: text(settings.every, 5),
      commit: text(settings.commit, 10),
      keep_raw: text(settings.keep_raw, 730),
      keep_minutes: text(settings.keep_minutes, 1826),
      size: text(settings.size, 4000),
    },
    historyFaults,
    async (fields) => {
      setSaved(false);
      const number = (key: string): number => typed(fields[key]) ?? 0;
      await api.putHistory({ enabled: fields.enabled === true, every: number("every"), commit: number("commit"), keep_raw: number("keep_raw"), keep_minutes: number("keep_minutes"), size: number("size") });
      noteSaved("history");
      setSaved(true);
    },
  );
  const { fields, set, error } = form;
  const profile = PROFILES.find((seconds) => seconds === typed(fields.commit));
  const [own, setOwn] = useState(profile === undefined);
  const number = (key: string): number => typed(fields[key]) || 0;
  const off = fields.enabled !== true;
  const commit = number("commit");
  const every = number("every");
  const count = Math.max(1, packs);
  const full = daysUntilFull(number("size"), grownADay(every, count));
  const field = (key: "every" | "keep_raw" | "keep_minutes" | "size", unit: string, hint: string) => (
    <TextField label={t(`settings.history.${key}`)} hint={hint} unit={unit} inputMode="decimal" value={String(fields[key])} onInput={(value) => set(key, value)} error={error(key)} disabled={off} />
  );
  return (
    <Card title={t("settings.history")}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        <CheckField label={t("settings.history.enabled")} hint={t("settings.history.enabled.hint")} value={!off} onInput={(value) => set("enabled", value)} />
        {field("every", "s", t("settings.history.every.hint", { size: megabytes(grownADay(every, count)) }))}
        <SelectField
          label={t("settings.history.commit")}
          hint={commit > 0 ? `${t("settings.history.commit.hint", { span: span(commit), size: megabytes(writtenADay(commit, count)) })} ${t("settings.history.commit.sd")}` : t("settings.history.commit.sd")}
          value={own ? OWN : String(profile ?? OWN)}
          onInput={(value) => {
            setOwn(value === OWN);
            if (value !== OWN) set("commit", value);
          }}
          options={[...PROFILES.map((seconds) => [String(seconds), t(`settings.history.commit.${seconds}`)] as const), [OWN, t("settings.history.commit.own")] as const]}
          disabled={off}
          error={own ? undefined : error("commit")}
        />
        {own && (
          <TextField label={t("settings.history.commit.own.label")} unit="s" inputMode="decimal" value={String(fields.commit)} onInput={(value) => set("commit", value)} error={error("commit")} disabled={off} />
        )}
        <div class="settings-pair">
          {field("keep_raw", "d", t("settings.history.keep_raw.hint"))}
          {field("keep_minutes", "d", t("settings.history.keep_minutes.hint"))}
        </div>
        {field(
          "size",
          "MB",
          Number.isFinite(full)
            ? t("settings.history.size.hint", { span: years(full), packs: packs === 1 ? t("settings.packs.one") : t("settings.packs.many", { n: count }) })
            : t("settings.history.size.never"),
        )}
        {settings.path && (
          <p class="small muted settings-path">
            {t("settings.history.path")}: <code>{settings.path}</code>
            {health.value?.history.file_bytes !== undefined && ` (${megabytes(health.value.history.file_bytes / 1e6)})`}
          </p>
        )}
        <Save form={form} saved={saved} writable={writable} />
      </form>
    </Card>
  );
}

function years(days: number): string {
  return days > 800 ? t("settings.years", { n: Math.round(days / 365) }) : span(days * 86400);
}

export function webFaults(fields: Fields): Faults {
  const faults: Faults = {};
  if (!hosts(String(fields.hosts)).every(isHost)) faults.hosts = { text: "host" };
  if (!isPrefix(String(fields.prefix).trim())) faults.prefix = { text: "prefix" };
  return faults;
}

function WebForm({ settings, writable }: { settings: WebSettings; writable: boolean }) {
  const [saved, setSaved] = useState(justSaved("web"));
  const form = useForm(
    { guests: settings.guests ?? false, hosts: (settings.hosts ?? []).join("\n"), prefix: settings.prefix ?? "", proxy: settings.proxy ?? false },
    webFaults,
    async (fields) => {
      setSaved(false);
      await api.putWeb({ guests: fields.guests === true, hosts: hosts(String(fields.hosts)), prefix: String(fields.prefix).trim(), proxy: fields.proxy === true });
      noteSaved("web");
      setSaved(true);
    },
  );
  const { fields, set, error } = form;
  return (
    <Card title={t("settings.web")}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        <CheckField label={t("settings.web.guests")} hint={t("settings.web.guests.hint")} value={fields.guests === true} onInput={(value) => set("guests", value)} />
        {fields.guests === true && !settings.guests && <Notice tone="warn">{t("settings.web.guests.sure")}</Notice>}
        <Field label={t("settings.web.hosts")} hint={t("settings.web.hosts.hint")} error={error("hosts")} optional>
          {(ids) => <textarea {...ids} rows={2} value={String(fields.hosts)} autocapitalize="none" spellcheck={false} onInput={(event) => set("hosts", event.currentTarget.value)} />}
        </Field>
        <TextField label={t("settings.web.prefix")} hint={t("settings.web.prefix.hint")} value={String(fields.prefix)} onInput={(value) => set("prefix", value)} error={error("prefix")} optional />
        <CheckField label={t("settings.web.proxy")} hint={t("settings.web.proxy.hint")} value={fields.proxy === true} onInput={(value) => set("proxy", value)} />
        <dl class="pairs">
          <dt>{t("settings.web.listen")}</dt>
          <dd>
            <code>{settings.listen}</code>
          </dd>
          <dt>{t("settings.web.tls")}</dt>
          <dd>{settings.certificate ? t("settings.web.tls.yes", { file: settings.certificate }) : t("settings.web.tls.no")}</dd>
        </dl>
        <p class="hint">{t("settings.web.listen.hint")}</p>
        <Save form={form} saved={saved} writable={writable} />
      </form>
    </Card>
  );
}

function File({ configuration }: { configuration: Configuration }) {
  return (
    <Card title={t("settings.file")}>
      <p class="small muted settings-path">{t("settings.file.lead", { path: configuration.path })}</p>
      {configuration.text && (
        <details>
          <summary>{t("settings.file.show")}</summary>
          <pre class="settings-file" tabIndex={0}>
            {configuration.text}
          </pre>
        </details>
      )}
    </Card>
  );
}
