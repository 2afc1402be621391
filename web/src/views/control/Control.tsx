/** What is set on a pack: settings, calibration, and the journal of what was written. */
import { useState } from "preact/hooks";
import { enough, may, session } from "../../api";
import { age } from "../../format";
import { ageOf, loaded, packNamed, stateOf } from "../../live";
import { StateBadge } from "../../parts/Badge";
import { Icon } from "../../parts/Icon";
import { Empty, Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { Tabs } from "../../parts/Tabs";
import { go, link, route } from "../../router";
import { t } from "../../texts";
import { whyOld } from "../overview/PackCard";
import { Calibration } from "./Calibration";
import "./control.css";
import { Doing, type Job } from "./Doing";
import { Journal } from "./Journal";
import { useSettings } from "./known";
import { SettingsPart } from "./Settings";
import { type Pending, tooLittle } from "./values";

export function Control() {
  const { param: name, query } = route.value;
  const pack = packNamed(name);
  const known = useSettings(name, !!pack);
  const [pending, setPending] = useState<Pending>({});
  const [job, setJob] = useState<Job | null>(null);
  const [written, setWritten] = useState(0); // so that what shows it is asked for again
  const title = t("control.title", { name });
  const before = (
    <a class="way-back" href={link("pack", name)}>
      <Icon name="back" size="1em" /> {t("control.back", { name })}
    </a>
  );
  if (!pack || !known.settings) {
    if (!loaded.value) return <Loading />;
    return (
      <Page title={title} before={before}>
        {!pack ? <Notice tone="info">{t("pack.gone", { name })}</Notice> : known.error ? <Notice tone="bad">{known.error}</Notice> : <Loading />}
      </Page>
    );
  }
  const { commands, allowed, reason } = known.settings;
  const calibrations = commands.filter(({ group }) => group === "calibration");
  const parts = [
    { key: "settings", title: t("control.part.settings") },
    ...(calibrations.length && may("operate") ? [{ key: "calibration", title: t("control.part.calibration") }] : []),
    ...(may("operate") ? [{ key: "journal", title: t("control.part.journal") }] : []),
  ];
  const asked = query.get("part") ?? "settings";
  const part = parts.some(({ key }) => key === asked) ? asked : "settings";
  const old = ageOf(pack);
  const why = whyOld(pack);
  const can = (grant: Parameters<typeof enough>[1]) => !reason && enough(allowed, grant);
  const limit = may("operate") && !reason ? tooLittle("service", allowed, session.value?.grant) : "";
  const done = () => {
    known.again();
    setWritten((count) => count + 1);
  };
  return (
    <Page title={title} before={before}>
      <div class="row under-title">
        <StateBadge state={stateOf(pack)} age={old === null ? undefined : age(old)} />
        {pack.model && <span class="muted">{pack.model}</span>}
        <span class="muted">{pack.dialect}</span>
      </div>
      {why && (
        <Notice tone="warn" quiet>
          {why}
        </Notice>
      )}
      {reason && (
        <Notice tone="info" quiet>
          {reason}
        </Notice>
      )}
      {commands.length === 0 ? (
        <Empty icon="settings" title={t("control.none.title")} />
      ) : (
        <Tabs tabs={parts} current={part} label={t("control.parts")} onChange={(key) => go(link("control", name, key === "settings" ? {} : { part: key }), true)}>
          <div class="control-part">
            {limit && part !== "journal" && <p class="hint">{limit}</p>}
            {part === "settings" && <SettingsPart pack={pack} known={known} can={can} pending={pending} setPending={setPending} onJob={setJob} />}
            {part === "calibration" && <Calibration pack={pack} rows={calibrations} can={can} onJob={setJob} />}
            {part === "journal" && <Journal key={written} pack={pack} commands={commands} onJob={reason ? undefined : setJob} />}
          </div>
        </Tabs>
      )}
      {job && (
        <Doing
          pack={name}
          commands={commands}
          job={job}
          onClose={() => setJob(null)}
          onDone={(results) => {
            // What was written is no change any more.
            const gone = results.filter(({ result }) => result === "done").map(({ command }) => command);
            setPending((before) => Object.fromEntries(Object.entries(before).filter(([command]) => !gone.includes(command))));
            done();
          }}
        />
      )}
    </Page>
  );
}
