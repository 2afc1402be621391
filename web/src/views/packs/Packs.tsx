/** The configured packs and banks: add, change, remove, look for new ones, hints for wiring. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, type BankSettings, type Configuration, type FoundPack, may, type PackSettings, type ScannedLink } from "../../api";
import { age, span } from "../../format";
import { ageOf, packNamed, packs as livePacks, reloads, stateOf } from "../../live";
import { StateBadge } from "../../parts/Badge";
import { Button, LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Empty, Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { link, route } from "../../router";
import { t } from "../../texts";
import { BankForm } from "./BankForm";
import { freeName } from "./form";
import { dialectName, PackForm } from "./PackForm";
import "./packs.css";
import { Scan } from "./Scan";
import { Sure } from "./Sure";
import { Wiring } from "./Wiring";

type Open =
  | { kind: "pack"; pack: Partial<PackSettings>; isNew: boolean }
  | { kind: "bank"; bank: BankSettings | null }
  | { kind: "remove-pack"; name: string }
  | { kind: "remove-bank"; name: string }
  | null;

/** Return the configuration, asked for anew whenever the gateway took a change; null until known. */
export function useConfiguration(): { configuration: Configuration | null; error: string; again: () => Promise<Configuration> } {
  const [configuration, setConfiguration] = useState<Configuration | null>(null);
  const [error, setError] = useState("");
  const again = async () => {
    const answer = await api.configuration();
    setConfiguration(answer);
    setError("");
    return answer;
  };
  const allowed = may("configure");
  useEffect(() => {
    if (allowed) again().catch((reason: unknown) => setError(reason instanceof ApiError ? reason.text : String(reason)));
  }, [reloads.value, allowed]);
  return { configuration, error, again };
}

export function Packs() {
  const { configuration, error, again } = useConfiguration();
  const [open, setOpen] = useState<Open>(null);
  const [said, setSaid] = useState<{ tone: "good" | "warn"; text: string } | null>(null);
  const [links, setLinks] = useState<ScannedLink[]>([]);
  const scanAtOnce = useRef(route.peek().query.has("scan"));

  if (!may("configure")) return <Readonly />;
  if (!configuration) return <Page title={t("packs.title")}>{error ? <Notice tone="bad">{error}</Notice> : <Loading />}</Page>;

  const { packs, banks } = configuration;
  const names = [...packs.map((pack) => pack.name), ...banks.map((bank) => bank.name)];
  const done = async (name: string, text: string) => {
    const now = await again();
    setOpen(null);
    const there = [...now.packs, ...now.banks].some((one) => one.name === name);
    setSaid(there || text !== "" ? { tone: "good", text: text || t("packs.saved", { name }) } : { tone: "warn", text: t("packs.not_renamed", { name }) });
  };
  const savePack = async (before: string, settings: PackSettings) => {
    await api.putPack(before || settings.name, settings);
    await done(settings.name, "");
  };
  const saveBank = async (before: string, settings: BankSettings) => {
    await api.putBank(before || settings.name, settings);
    await done(settings.name, "");
  };
  const ofFound = (place: string, found: FoundPack): PackSettings => ({
    name: freeName(found.family, names),
    link: place,
    family: found.dialect,
    ...(found.address === null ? {} : { address: found.address }),
  });
  return (
    <Page
      title={t("packs.title")}
      actions={
        configuration.writable && (
          <Button icon="plus" onClick={() => setOpen({ kind: "pack", pack: {}, isNew: true })}>
            {t("packs.add.hand")}
          </Button>
        )
      }
    >
      {error && <Notice tone="bad">{error}</Notice>}
      {!configuration.writable && <Notice tone="warn">{t("packs.unwritable", { path: configuration.path })}</Notice>}
      {said && <Notice tone={said.tone}>{said.text}</Notice>}
      <div class="packs-columns">
        <div class="stack packs-gap">
          {packs.length === 0 ? (
            <Card>
              <Empty icon="packs" title={t("packs.none.title")}>
                <p>{t("packs.none.text")}</p>
              </Empty>
            </Card>
          ) : (
            <Card title={t("packs.list")}>
              <ul class="packs-list">
                {packs.map((pack) => (
                  <Pack
                    key={pack.name}
                    pack={pack}
                    onEdit={configuration.writable ? () => setOpen({ kind: "pack", pack, isNew: false }) : undefined}
                    onRemove={configuration.writable ? () => setOpen({ kind: "remove-pack", name: pack.name }) : undefined}
                  />
                ))}
              </ul>
            </Card>
          )}
          <Banks configuration={configuration} onOpen={setOpen} />
        </div>
        <div class="stack packs-gap">
          {configuration.writable && (
            <Scan
              packs={packs}
              start={scanAtOnce.current}
              onAdd={(place, found) => savePack("", ofFound(place, found))}
              onEdit={(place, found) => setOpen({ kind: "pack", pack: ofFound(place, found), isNew: true })}
              onLinks={setLinks}
            />
          )}
          <Wiring />
        </div>
      </div>
      {open?.kind === "pack" && (
        <PackForm
          pack={open.pack}
          isNew={open.isNew}
          taken={names.filter((name) => open.isNew || name !== open.pack.name)}
          links={links}
          onClose={() => setOpen(null)}
          onSave={(settings) => savePack(open.isNew ? "" : (open.pack.name ?? ""), settings)}
        />
      )}
      {open?.kind === "bank" && (
        <BankForm
          bank={open.bank}
          packs={packs.map((pack) => pack.name)}
          banks={banks.filter((bank) => bank.name !== open.bank?.name)}
          onClose={() => setOpen(null)}
          onSave={(settings) => saveBank(open.bank?.name ?? "", settings)}
        />
      )}
      {open?.kind === "remove-pack" && (
        <Sure
          title={t("packs.remove.title", { name: open.name })}
          action={t("packs.remove")}
          onClose={() => setOpen(null)}
          onSure={async () => {
            await api.deletePack(open.name);
            await done(open.name, t("packs.removed", { name: open.name }));
          }}
        >
          <p>{t("packs.remove.text")}</p>
          {banks
            .filter((bank) => bank.packs.includes(open.name))
            .map((bank) => (
              <p key={bank.name}>{t("packs.remove.bank", { bank: bank.name })}</p>
            ))}
        </Sure>
      )}
      {open?.kind === "remove-bank" && (
        <Sure
          title={t("packs.bank.remove.title", { name: open.name })}
          action={t("packs.remove")}
          onClose={() => setOpen(null)}
          onSure={async () => {
            await api.deleteBank(open.name);
            await done(open.name, t("packs.removed", { name: open.name }));
          }}
        >
          <p>{t("packs.bank.remove.text")}</p>
        </Sure>
      )}
    </Page>
  );
}

function Pack({ pack, onEdit, onRemove }: { pack: PackSettings; onEdit?: (() => void) | undefined; onRemove?: (() => void) | undefined }) {
  const live = packNamed(pack.name);
  const family = pack.family || live?.dialect || "";
  return (
    <li>
      <div class="packs-head">
        <a href={link("pack", pack.name)}>{pack.name}</a>
        {live ? <StateBadge state={stateOf(live)} age={stateOf(live) === "online" ? undefined : age(ageOf(live))} /> : <span class="muted small">{t("packs.not_yet")}</span>}
        <div class="actions">
          {onEdit && <Button icon="edit" tone="quiet" label={t("packs.edit.of", { name: pack.name })} onClick={onEdit} />}
          {onRemove && <Button icon="remove" tone="quiet" label={t("packs.remove.of", { name: pack.name })} onClick={onRemove} />}
        </div>
      </div>
      <p class="packs-what">
        {live?.model && <span>{live.model}</span>}
        <span>{family ? dialectName(family) : t("packs.detected")}</span>
        {pack.address !== null && pack.address !== undefined && <span>{t("packs.scan.board", { address: pack.address })}</span>}
        {pack.every !== undefined && (
          <span>
            {t("packs.every")} {span(pack.every)}
          </span>
        )}
      </p>
      <code>{pack.link}</code>
      {live?.reason && <p class="packs-reason">{live.reason}</p>}
    </li>
  );
}

function Banks({ configuration, onOpen }: { configuration: Configuration; onOpen: (open: Open) => void }) {
  const { packs, banks, writable } = configuration;
  const free = packs.filter((pack) => !banks.some((bank) => bank.packs.includes(pack.name))).length;
  const why = packs.length < 2 ? t("packs.banks.few") : free < 2 ? t("packs.banks.free") : "";
  return (
    <Card
      title={t("packs.banks")}
      aside={
        writable && (
          <Button icon="plus" onClick={() => onOpen({ kind: "bank", bank: null })} disabled={why !== ""}>
            {t("packs.bank.add")}
          </Button>
        )
      }
    >
      <p class="muted small">{banks.length === 0 ? t("packs.banks.none") : t("packs.banks.lead")}</p>
      {why && writable && <p class="muted small">{why}</p>}
      <ul class="packs-list">
        {banks.map((bank) => (
          <li key={bank.name}>
            <div class="packs-head">
              <a href={link("history", "", { of: `bank-${bank.name}` })}>{bank.name}</a>
              <div class="actions">
                {writable && <Button icon="edit" tone="quiet" label={t("packs.bank.edit.of", { name: bank.name })} onClick={() => onOpen({ kind: "bank", bank })} />}
                {writable && <Button icon="remove" tone="quiet" label={t("packs.bank.remove.of", { name: bank.name })} onClick={() => onOpen({ kind: "remove-bank", name: bank.name })} />}
              </div>
            </div>
            <p class="packs-what">
              {bank.packs.map((name) => (
                <span key={name}>{name}</span>
              ))}
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** What somebody sees who may not change anything. */
function Readonly() {
  return (
    <Page title={t("packs.title")}>
      <Notice tone="info" quiet actions={<LinkButton href={link("login", "", { back: "#/packs" })}>{t("app.login")}</LinkButton>}>
        {t("packs.readonly")}
      </Notice>
      <div class="packs-columns">
        <Card title={t("packs.list")}>
          <ul class="packs-list">
            {livePacks.value.map((pack) => (
              <Pack key={pack.pack} pack={{ name: pack.pack, link: pack.link?.address ?? "", family: pack.dialect, address: pack.address, every: pack.every }} />
            ))}
          </ul>
        </Card>
        <Wiring />
      </div>
    </Page>
  );
}
