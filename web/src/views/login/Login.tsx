/** Logging in, and going on where the reader was. */
import { useSignal } from "@preact/signals";
import { ApiError, api, refreshSession, session } from "../../api";
import { Button, LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { go, link, route } from "../../router";
import { t } from "../../texts";
import { safeBack } from "./back";

export function Login() {
  const name = useSignal("");
  const password = useSignal("");
  const shown = useSignal(false);
  const busy = useSignal(false);
  const failed = useSignal("");
  const { query } = route.value;
  const back = safeBack(query.get("back"));

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    busy.value = true;
    failed.value = "";
    try {
      await api.login(name.value.trim(), password.value);
      await refreshSession();
      go(back, true);
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      failed.value = refused ? t("login.wrong") : error instanceof ApiError ? error.text : String(error);
      password.value = "";
    } finally {
      busy.value = false;
    }
  }

  return (
    <Page title={t("login.title")} narrow>
      {query.get("expired") && <Notice tone="info">{t("login.expired")}</Notice>}
      {session.value?.setup && (
        <Notice tone="info" actions={<LinkButton href={link("setup")}>{t("setup.title")}</LinkButton>}>
          {t("login.setup")}
        </Notice>
      )}
      <Card>
        <form onSubmit={(event) => void submit(event)}>
          <TextField label={t("login.name")} name="username" autocomplete="username" value={name.value} onInput={(value) => (name.value = value)} required autofocus />
          <TextField
            label={t("login.password")}
            name="password"
            type={shown.value ? "text" : "password"}
            autocomplete="current-password"
            value={password.value}
            onInput={(value) => (password.value = value)}
            required
          />
          <label class="tick">
            <input type="checkbox" checked={shown.value} onInput={(event) => (shown.value = event.currentTarget.checked)} />
            {t("login.show")}
          </label>
          {failed.value && <Notice tone="bad">{failed.value}</Notice>}
          <Button type="submit" tone="main" disabled={busy.value}>
            {busy.value ? t("login.busy") : t("login.submit")}
          </Button>
        </form>
      </Card>
      {session.value?.guests && (
        <LinkButton href={link()} icon="eye" tone="quiet">
          {t("login.guest")}
        </LinkButton>
      )}
    </Page>
  );
}
