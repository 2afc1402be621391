/** What the gateway itself has trouble with: its history, and outputs to other programs. */
import { health } from "../../live";
import { Notice } from "../../parts/Notice";
import { LinkButton } from "../../parts/Button";
import { link } from "../../router";
import { t } from "../../texts";
import { outputTitle } from "../settings/told";

export function Trouble() {
  const now = health.value;
  if (!now) return null;
  const history = now.history.state === "failing" ? [{ name: t("health.history"), reason: now.history.reason }] : [];
  const outputs = (now.outputs ?? []).filter(({ state }) => state === "failing").map((output) => ({ name: outputTitle(output), reason: output.reason }));
  return (
    <>
      {[...history, ...outputs].map(({ name, reason }) => (
        <Notice key={name} tone="warn" actions={<LinkButton href={link("settings")}>{t("output.look")}</LinkButton>}>
          {t("output.failing", { name, reason: reason ?? "" })}
        </Notice>
      ))}
    </>
  );
}
