/** The first start: the first user and their password, proven by the code that the gateway printed. */
import { useSignal } from "@preact/signals";
import { ApiError, api, refreshSession, session } from "../../api";
import { Button, LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { Page } from "../../parts/Page";
import { go, link, route } from "../../router";
import { t } from "../../texts";
import { LEAST, mistakes, strength } from "./password";

export function Setup() {
  const given = route.value.param;
  const code = useSignal(given);
  const name = useSignal("");
  const password = useSignal("");
  const repeat = useSignal("");
  const tried = useSignal(false);
  const busy = useSignal(false);
  const failed = useSignal("");
  if (session.value && !session.value.setup) {
    return (
      <Page title={t("setup.title")} narrow>
        <Notice tone="info" actions={<LinkButton href={link(session.value.grant ? "" : "login")}>{session.value.grant ? t("app.to_overview") : t("app.login")}</LinkButton>}>
          {t("setup.done")}
        </Notice>
      </Page>
    );
  }
  const wrong = mistakes({ code: code.value, name: name.value, password: password.value, repeat: repeat.value });
  const show = (error: string | undefined) => (tried.value ? error : undefined);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    tried.value = true;
    if (Object.values(wrong).some(Boolean)) return;
    busy.value = true;
    failed.value = "";
    try {
      await api.setup(code.value.trim(), name.value.trim(), password.value);
      if (!(await refreshSession()).user) {
        await api.login(name.value.trim(), password.value);
        await refreshSession();
      }
      go(link(), true);
    } catch (error) {
      failed.value = error instanceof ApiError ? error.text : String(error);
    } finally {
      busy.value = false;
    }
  }

  return (
    <Page title={t("setup.title")} narrow>
      <p class="muted">{t("setup.lead")}</p>
      <Card>
        <form onSubmit={(event) => void submit(event)} noValidate>
          {!given && <TextField label={t("setup.code")} hint={t("setup.code.hint")} error={show(wrong.code)} value={code.value} onInput={(value) => (code.value = value)} />}
          <TextField label={t("setup.name")} name="username" autocomplete="username" error={show(wrong.name)} value={name.value} onInput={(value) => (name.value = value)} />
          <TextField
            label={t("setup.password")}
            hint={show(wrong.password) ? undefined : password.value ? strength(password.value) : t("setup.password.hint", { n: LEAST })}
            error={show(wrong.password)}
            name="password"
            type="password"
            autocomplete="new-password"
            value={password.value}
            onInput={(value) => (password.value = value)}
          />
          <TextField
            label={t("setup.repeat")}
            error={show(wrong.repeat)}
            name="repeat"
            type="password"
            autocomplete="new-password"
            value={repeat.value}
            onInput={(value) => (repeat.value = value)}
          />
          {failed.value && <Notice tone="bad">{failed.value}</Notice>}
          <Button type="submit" tone="main" disabled={busy.value}>
            {busy.value ? t("setup.busy") : t("setup.submit")}
          </Button>
        </form>
      </Card>
    </Page>
  );
}
