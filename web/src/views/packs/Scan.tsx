/** Looks for packs on the free serial ports and by Bluetooth, and adds what answers. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, type FoundPack, type PackSettings, type Scan as Result, type ScannedLink } from "../../api";
import { Badge } from "../../parts/Badge";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import { dialectName } from "./PackForm";

const EACH = 1000; // ms between two looks at the progress

interface Props {
  packs: readonly PackSettings[];
  start: boolean; // begin at once
  onAdd: (link: string, found: FoundPack) => Promise<void>;
  onEdit: (link: string, found: FoundPack) => void;
  onLinks: (links: ScannedLink[]) => void;
}

export function Scan({ packs, start, onAdd, onEdit, onLinks }: Props) {
  const [result, setResult] = useState<Result | null>(null);
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState("");
  const [adding, setAdding] = useState("");
  const gone = useRef(false);

  const fail = (reason: unknown) => {
    setError(reason instanceof ApiError ? reason.text : String(reason));
    setAsked(false);
  };
  const look = () =>
    api.scanned().then((now) => {
      if (gone.current) return;
      setResult(now);
      onLinks(now.links);
      if (now.running) setTimeout(() => void look().catch(fail), EACH);
      else setAsked(false);
    });
  const begin = () => {
    setError("");
    setAsked(true);
    api.scan().then(look).catch(fail);
  };
  useEffect(() => {
    gone.current = false;
    if (start) begin();
    else look().catch(() => undefined); // an old result, if there is one
    return () => {
      gone.current = true;
    };
  }, []);

  const running = asked || (result?.running ?? false);
  const links = result?.links ?? [];
  const found = links.reduce((sum, one) => sum + one.packs.length, 0);
  const count = { packs: t(found === 1 ? "packs.scan.pack.one" : "packs.scan.pack.many", { n: found }), links: t(links.length === 1 ? "packs.scan.link.one" : "packs.scan.link.many", { n: links.length }) };
  return (
    <Card
      title={t("packs.scan")}
      aside={
        <Button icon="search" tone={packs.length === 0 ? "main" : "plain"} onClick={begin} disabled={running}>
          {t(links.length > 0 ? "packs.scan.again" : "packs.scan.start")}
        </Button>
      }
    >
      <p class="muted small">{t("packs.scan.lead")}</p>
      <div class="packs-live" aria-live="polite">
        {running ? (
          <p class="packs-progress">
            <span class="spinner" aria-hidden="true" /> {links.length > 0 ? t("packs.scan.running.found", count) : t("packs.scan.running")}
          </p>
        ) : (
          links.length > 0 && <p class="small">{t("packs.scan.done", count)}</p>
        )}
        {!running && result && links.length === 0 && asked && <Notice tone="info">{t("packs.scan.nothing")}</Notice>}
      </div>
      {error && <Notice tone="bad">{error}</Notice>}
      {result?.no_bluetooth && !running && <p class="muted small">{t("packs.scan.no_bluetooth", { reason: result.no_bluetooth })}</p>}
      <ul class="packs-found">
        {links.map((one) => (
          <li key={one.link}>
            <code>{one.link}</code>
            {one.rssi !== undefined && (
              <p class="packs-what muted">
                {one.name && <span>{one.name}</span>}
                <span>{t("packs.scan.rssi", { rssi: one.rssi })}</span>
                {one.radio && <span>{t("packs.scan.radio", { radio: one.radio })}</span>}
              </p>
            )}
            {one.taken_for?.map((sign) => (
              <p key={sign.family} class="small muted">
                {t("packs.scan.taken_for", { family: sign.family, why: sign.why })}
              </p>
            ))}
            {one.packs.map((pack) => {
              const known = packs.find((configured) => configured.link === one.link && (configured.address ?? pack.address) === pack.address);
              const key = `${one.link} ${pack.address} ${pack.dialect}`;
              const model = pack.model ?? dialectName(pack.dialect);
              return (
                <div key={key} class="packs-hit">
                  <div>
                    <p>
                      <strong>{model}</strong> <Badge tone="info">{dialectName(pack.dialect)}</Badge>{" "}
                      {pack.address !== null && <span class="muted small">{t("packs.scan.board", { address: pack.address })}</span>}
                    </p>
                    {pack.proof && <p class="small muted">{t("packs.scan.proof", { proof: pack.proof })}</p>}
                  </div>
                  {known ? (
                    <Badge tone="good" icon="good">
                      {t("packs.scan.known", { name: known.name })}
                    </Badge>
                  ) : (
                    <div class="actions">
                      <Button
                        tone="main"
                        icon="plus"
                        label={t("packs.scan.add.of", { model, link: one.link })}
                        disabled={adding === key}
                        onClick={() => {
                          setAdding(key);
                          onAdd(one.link, pack).then(() => setAdding(""), (reason: unknown) => (setAdding(""), fail(reason)));
                        }}
                      >
                        {t("packs.scan.add")}
                      </Button>
                      <Button onClick={() => onEdit(one.link, pack)}>{t("packs.scan.edit")}</Button>
                    </div>
                  )}
                </div>
              );
            })}
            {one.problem ? (
              <p class="packs-problem">
                <strong>{one.problem}</strong> {one.advice}
              </p>
            ) : (
              one.packs.length === 0 && !running && <p class="muted small">{t("packs.scan.silent")}</p>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
