/** The own password, light or dark, and what this program is. */
import { useState } from "preact/hooks";
import { address, api, session } from "../../api";
import { Button, LinkButton } from "../../parts/Button";
import { Card } from "../../parts/Card";
import { TextField } from "../../parts/Field";
import { Notice } from "../../parts/Notice";
import { Choices } from "../../parts/Tabs";
import { link } from "../../router";
import { t } from "../../texts";
import { nextTheme, type Theme, theme } from "../../theme";
import { useForm } from "../packs/edit";
import { passwordFaults, SHORTEST } from "./Users";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

export function Own() {
  return (
    <div class="settings-two">
      <Card title={t("own.password")}>
        {session.value?.user ? (
          <Password key={session.value.user} name={session.value.user} />
        ) : (
          <Notice tone="info" quiet actions={<LinkButton href={link("login", "", { back: "#/settings?part=own" })}>{t("app.login")}</LinkButton>}>
            {t("own.password.guest")}
          </Notice>
        )}
      </Card>
      <div class="stack settings-gap">
        <Card title={t("own.theme")}>
          <Choices
            label={t("own.theme.label")}
            options={THEMES.map((name) => [name, t(`own.theme.${name}`)] as const)}
            current={theme.value}
            onChange={(wanted) => {
              for (let step = 0; step < THEMES.length && theme.value !== wanted; step++) nextTheme();
            }}
          />
        </Card>
        <Card title={t("about.title")}>
          <p>{t("about.text")}</p>
          <p class="small muted">
            Cellwire {session.value?.version} · <a href={address("openapi.json")}>{t("about.api")}</a>
          </p>
        </Card>
      </div>
    </div>
  );
}

function Password({ name }: { name: string }) {
  const [saved, setSaved] = useState(false);
  const form = useForm(
    { old: "", password: "", repeat: "" },
    (fields) => ({ ...(fields.old === "" ? { old: { text: "missing" as const } } : {}), ...passwordFaults(fields, name) }),
    async (fields) => {
      setSaved(false);
      await api.password(String(fields.old), String(fields.password));
      setSaved(true);
    },
  );
  const { fields, set, error } = form;
  if (saved) return <Notice tone="good">{t("own.password.saved")}</Notice>;
  return (
    <form ref={form.element} onSubmit={form.send} noValidate>
      {form.general.length > 0 && <Notice tone="bad">{form.general.join(" ")}</Notice>}
      <div class="sr" aria-hidden="true">
        <input type="text" name="username" autocomplete="username" value={name} readOnly tabIndex={-1} />
      </div>
      <TextField label={t("own.password.old")} type="password" autocomplete="current-password" value={String(fields.old)} onInput={(value) => set("old", value)} error={error("old")} required />
      <TextField
        label={t("own.password.new")}
        type="password"
        autocomplete="new-password"
        hint={t("users.password.hint", { n: SHORTEST })}
        value={String(fields.password)}
        onInput={(value) => set("password", value)}
        error={error("password")}
        required
      />
      <TextField label={t("users.repeat")} type="password" autocomplete="new-password" value={String(fields.repeat)} onInput={(value) => set("repeat", value)} error={error("repeat")} required />
      <div class="actions end">
        <Button tone="main" type="submit" disabled={form.busy}>
          {t("own.password.save")}
        </Button>
      </div>
    </form>
  );
}
