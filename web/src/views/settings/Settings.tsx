/** Health of the gateway, its settings, users and tokens, the own password and look. */
import { may } from "../../api";
import { Page } from "../../parts/Page";
import { Tabs } from "../../parts/Tabs";
import { go, link, route } from "../../router";
import { t } from "../../texts";
import { Gateway } from "./Gateway";
import { HealthPart } from "./Health";
import { Outputs } from "./Outputs";
import { Own } from "./Own";
import "./settings.css";
import { Users } from "./Users";

export function Settings() {
  const parts = [
    { key: "health", title: t("settings.health") },
    ...(may("configure") ? [{ key: "gateway", title: t("settings.gateway") }, { key: "outputs", title: t("settings.outputs") }] : []),
    ...(may("service") ? [{ key: "users", title: t("settings.users") }] : []),
    { key: "own", title: t("settings.own") },
  ];
  const asked = route.value.query.get("part") ?? "health";
  const part = parts.some(({ key }) => key === asked) ? asked : "health";
  return (
    <Page title={t("settings.title")}>
      <Tabs tabs={parts} current={part} label={t("settings.part")} onChange={(key) => go(link("settings", "", key === "health" ? {} : { part: key }), true)}>
        <div class="settings-part">
          {part === "health" && <HealthPart />}
          {part === "gateway" && <Gateway />}
          {part === "outputs" && <Outputs />}
          {part === "users" && <Users />}
          {part === "own" && <Own />}
        </div>
      </Tabs>
    </Page>
  );
}
