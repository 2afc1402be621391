/** Users and API tokens: add, change, remove; a new token is shown once. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, type Grant, GRANTS, session, type Token, type User } from "../../api";
import { Badge } from "../../parts/Badge";
import { Button } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { Dialog } from "../../parts/Dialog";
import { SelectField, TextField } from "../../parts/Field";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { t } from "../../texts";
import { moment } from "../history/ticks";
import { useForm } from "../packs/edit";
import { type Faults, type Fields } from "../packs/form";
import { Sure } from "../packs/Sure";

export const SHORTEST = 10; // characters of a password
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

type Open = { kind: "user"; user: User | null } | { kind: "token" } | { kind: "remove-user" | "remove-token"; name: string } | { kind: "shown"; name: string; token: string } | null;

/** Return what is wrong with a new password. */
export function passwordFaults(fields: Fields, name: string): Faults {
  const faults: Faults = {};
  const password = String(fields.password);
  if (password.length < SHORTEST) faults.password = { text: "short", low: SHORTEST };
  else if (password.toLowerCase() === name.toLowerCase()) faults.password = { text: "name" };
  if (fields.repeat !== fields.password) faults.repeat = { text: "different" };
  return faults;
}

function nameFaults(fields: Fields, taken: readonly string[]): Faults {
  const name = String(fields.name).trim();
  if (name === "") return { name: { text: "missing" } };
  if (!NAME.test(name)) return { name: { text: "user_name" } };
  return taken.includes(name) ? { name: { text: "taken" } } : {};
}

function grantOptions(): [string, string][] {
  return GRANTS.map((grant) => [grant, `${t(`grant.${grant}`)}: ${t(`grant.${grant}.means`)}`]);
}

export function Users() {
  const [users, setUsers] = useState<User[] | null>(null);
  const [tokens, setTokens] = useState<Token[]>([]);
  const [error, setError] = useState("");
  const [said, setSaid] = useState("");
  const [open, setOpen] = useState<Open>(null);
  const again = async () => {
    const [allUsers, allTokens] = await Promise.all([api.users(), api.tokens()]);
    setUsers(allUsers);
    setTokens(allTokens);
  };
  useEffect(() => {
    again().catch((reason: unknown) => setError(reason instanceof ApiError ? reason.text : String(reason)));
  }, []);
  const done = async (text: string) => {
    await again();
    setOpen(null);
    setSaid(text);
  };
  if (!users) return error ? <Notice tone="bad">{error}</Notice> : <Loading />;
  return (
    <>
      {said && <Notice tone="good">{said}</Notice>}
      <div class="settings-two">
        <Card
          title={t("users.title")}
          aside={
            <Button icon="plus" onClick={() => setOpen({ kind: "user", user: null })}>
              {t("users.add")}
            </Button>
          }
        >
          <ul class="settings-list">
            {users.map((user) => (
              <li key={user.name}>
                <div>
                  <p>
                    <strong>{user.name}</strong> {user.name === session.value?.user && <Badge tone="info">{t("users.you")}</Badge>}
                  </p>
                  <p class="small muted">
                    {t(`grant.${user.grant}`)}: {t(`grant.${user.grant}.means`)}
                  </p>
                </div>
                {user.name !== session.value?.user && (
                  <div class="actions">
                    <Button icon="edit" tone="quiet" label={t("users.change.of", { name: user.name })} onClick={() => setOpen({ kind: "user", user })} />
                    <Button icon="remove" tone="quiet" label={t("users.remove.of", { name: user.name })} onClick={() => setOpen({ kind: "remove-user", name: user.name })} />
                  </div>
                )}
              </li>
            ))}
          </ul>
        </Card>
        <Card
          title={t("tokens.title")}
          aside={
            <Button icon="key" onClick={() => setOpen({ kind: "token" })}>
              {t("tokens.add")}
            </Button>
          }
        >
          <p class="small muted">{t("tokens.lead")}</p>
          {tokens.length === 0 && <p>{t("tokens.none")}</p>}
          <ul class="settings-list">
            {tokens.map((token) => (
              <li key={token.name}>
                <div>
                  <p>
                    <strong>{token.name}</strong>
                  </p>
                  <p class="small muted">
                    {t(`grant.${token.grant}`)}
                    {typeof token.added === "number" && `, ${t("tokens.created", { time: moment(token.added, false) })}`}
                  </p>
                </div>
                <Button icon="remove" tone="quiet" label={t("tokens.remove.of", { name: token.name })} onClick={() => setOpen({ kind: "remove-token", name: token.name })} />
              </li>
            ))}
          </ul>
        </Card>
      </div>
      {open?.kind === "user" && <UserForm user={open.user} taken={users.map((user) => user.name)} onClose={() => void done("")} onSaved={(name) => done(t("users.saved", { name }))} />}
      {open?.kind === "token" && (
        <TokenForm taken={tokens.map((token) => token.name)} onClose={() => setOpen(null)} onMade={async (name, token) => (await again(), setSaid(""), setOpen({ kind: "shown", name, token }))} />
      )}
      {open?.kind === "shown" && <Shown name={open.name} token={open.token} onClose={() => setOpen(null)} />}
      {open?.kind === "remove-user" && (
        <Sure
          title={t("users.remove.title", { name: open.name })}
          action={t("users.remove")}
          onClose={() => setOpen(null)}
          onSure={async () => {
            await api.deleteUser(open.name);
            await done(t("users.removed", { name: open.name }));
          }}
        >
          <p>{t("users.remove.text")}</p>
        </Sure>
      )}
      {open?.kind === "remove-token" && (
        <Sure
          title={t("tokens.remove.title", { name: open.name })}
          action={t("users.remove")}
          onClose={() => setOpen(null)}
          onSure={async () => {
            await api.deleteToken(open.name);
            await done(t("users.removed", { name: open.name }));
          }}
        >
          <p>{t("tokens.remove.text")}</p>
        </Sure>
      )}
    </>
  );
}

function UserForm({ user, taken, onClose, onSaved }: { user: User | null; taken: readonly string[]; onClose: () => void; onSaved: (name: string) => Promise<void> }) {
  const form = useForm(
    { name: user?.name ?? "", grant: user?.grant ?? "read", password: "", repeat: "" },
    (fields) => {
      const keeps = user !== null && fields.password === "" && fields.repeat === "";
      return { ...nameFaults(fields, user ? [] : taken), ...(keeps ? {} : passwordFaults(fields, String(fields.name).trim())) };
    },
    async (fields) => {
      const name = String(fields.name).trim();
      if (user) await api.changeUser(name, fields.grant as Grant, String(fields.password));
      else await api.addUser(name, String(fields.password), fields.grant as Grant);
      await onSaved(name);
    },
  );
  const { fields, set, error } = form;
  return (
    <Dialog title={user ? t("users.change.title", { name: user.name }) : t("users.add.title")} onClose={onClose}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        {form.general.length > 0 && <Notice tone="bad">{form.general.join(" ")}</Notice>}
        {user ? (
          <p class="muted">{t("users.change.hint")}</p>
        ) : (
          <TextField label={t("users.name")} name="username" autocomplete="off" value={String(fields.name)} onInput={(value) => set("name", value)} error={error("name")} autofocus required />
        )}
        <SelectField label={t("users.grant")} value={String(fields.grant)} onInput={(value) => set("grant", value)} options={grantOptions()} error={error("grant")} />
        <TextField
          label={t(user ? "users.change.password" : "users.password")}
          type="password"
          autocomplete="new-password"
          hint={t("users.password.hint", { n: SHORTEST })}
          value={String(fields.password)}
          onInput={(value) => set("password", value)}
          error={error("password")}
          required={!user}
        />
        <TextField label={t("users.repeat")} type="password" autocomplete="new-password" value={String(fields.repeat)} onInput={(value) => set("repeat", value)} error={error("repeat")} required={!user} />
        <div class="actions end">
          <Button onClick={onClose}>{t("dialog.cancel")}</Button>
          <Button tone="main" type="submit" disabled={form.busy}>
            {t(user ? "users.change" : "users.add")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function TokenForm({ taken, onClose, onMade }: { taken: readonly string[]; onClose: () => void; onMade: (name: string, token: string) => Promise<void> }) {
  const form = useForm(
    { name: "", grant: "read" },
    (fields) => nameFaults(fields, taken),
    async (fields) => {
      const name = String(fields.name).trim();
      const { token } = await api.addToken(name, fields.grant as Grant);
      await onMade(name, token);
    },
  );
  const { fields, set, error } = form;
  return (
    <Dialog title={t("tokens.add.title")} onClose={onClose}>
      <form ref={form.element} onSubmit={form.send} noValidate>
        {form.general.length > 0 && <Notice tone="bad">{form.general.join(" ")}</Notice>}
        <TextField label={t("tokens.name")} hint={t("tokens.name.hint")} value={String(fields.name)} onInput={(value) => set("name", value)} error={error("name")} autofocus required />
        <SelectField label={t("users.grant")} value={String(fields.grant)} onInput={(value) => set("grant", value)} options={grantOptions()} />
        <div class="actions end">
          <Button onClick={onClose}>{t("dialog.cancel")}</Button>
          <Button tone="main" type="submit" disabled={form.busy}>
            {t("tokens.add")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Shown({ name, token, onClose }: { name: string; token: string; onClose: () => void }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    const field = document.getElementById("token") as HTMLInputElement | null;
    field?.select();
    // Where the page is not served encrypted there is no clipboard; then the old way is left.
    if (navigator.clipboard) void navigator.clipboard.writeText(token).then(() => setCopied(true), () => undefined);
    else setCopied(document.execCommand("copy"));
  };
  return (
    <Dialog title={t("tokens.new", { name })} onClose={onClose}>
      <Notice tone="warn">{t("tokens.new.lead")}</Notice>
      <div class="settings-token">
        <input id="token" readOnly value={token} aria-label={t("tokens.new", { name })} onFocus={(event) => event.currentTarget.select()} />
        <Button onClick={copy}>{t("tokens.copy")}</Button>
      </div>
      <p class="small" role="status">
        {copied ? t("tokens.copied") : ""}
      </p>
      <div class="actions end">
        <Button tone="main" onClick={onClose}>
          {t("tokens.done")}
        </Button>
      </div>
    </Dialog>
  );
}
