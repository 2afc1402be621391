/** The outputs to other programs: settings of MQTT and Modbus, and which databases there are. */
import { useState } from "preact/hooks";
import { api, type Grant, GRANTS, type InfluxSettings, type ModbusSettings, type MqttSettings } from "../../api";
import { health } from "../../live";
import { Card } from "../../parts/Card";
import { CheckField, Field, SelectField, TextField } from "../../parts/Field";
import { Loading } from "../../parts/Loading";
import { Notice } from "../../parts/Notice";
import { Pairs } from "../../parts/Pairs";
import { t, type TextKey } from "../../texts";
import { type Form, useForm } from "../packs/edit";
import { type Faults, type Fields, numberFault, typed } from "../packs/form";
import { useConfiguration } from "../packs/Packs";
import { hosts } from "./figures";
import { OutputState } from "./OutputState";
import { justSaved, noteSaved, Save } from "./saved";

export function Outputs() {
  const { configuration, error } = useConfiguration();
  if (!configuration) return error ? <Notice tone="bad">{error}</Notice> : <Loading />;
  const { mqtt, modbus, influx, writable, path } = configuration;
  return (
    <>
      {!writable && <Notice tone="warn">{t("settings.unwritable", { path })}</Notice>}
      <div class="settings-two">
        <MqttForm key={JSON.stringify(mqtt)} settings={mqtt} writable={writable} />
        <div class="stack settings-gap">
          <ModbusForm key={JSON.stringify(modbus)} settings={modbus} writable={writable} />
          <Databases databases={influx} path={path} />
        </div>
      </div>
    </>
  );
}

/** Return what stands in a field, null when nothing does: the key is taken away then. */
function word(value: string | boolean | undefined): string | null {
  return String(value ?? "").trim() || null;
}

export function mqttFields(settings: MqttSettings): Fields {
  return {
    url: settings.url ?? "",
    user: settings.user ?? "",
    password: "",
    base: settings.base ?? "",
    protocol: settings.protocol ?? "auto",
    single: settings.single ?? false,
    grant: settings.grant ?? "read",
    "home_assistant.discovery": settings.home_assistant?.discovery ?? "device",
    "home_assistant.prefix": settings.home_assistant?.prefix ?? "",
  };
}

/** Return what is sent of the fields: a password only when one was typed, or when its user is taken away. */
export function mqttSettings(fields: Fields): MqttSettings {
  const user = word(fields.user);
  const password = fields.password ? String(fields.password) : null;
  return {
    url: word(fields.url),
    user,
    ...(password || !user ? { password } : {}),
    base: word(fields.base),
    protocol: String(fields.protocol),
    single: fields.single === true,
    grant: fields.grant as Grant,
    home_assistant: { discovery: String(fields["home_assistant.discovery"]), prefix: word(fields["home_assistant.prefix"]) },
  };
}

function MqttForm({ settings, writable }: { settings: MqttSettings; writable: boolean }) {
  const [saved, setSaved] = useState(justSaved("mqtt"));
  const form: Form = useForm(
    mqttFields(settings),
    () => ({}),
    async (fields) => {
      setSaved(false);
      await api.putMqtt(mqttSettings(fields));
      form.set("password", ""); // what was typed is not kept anywhere
      noteSaved("mqtt");
      setSaved(true);
    },
  );
  const { fields, set, error } = form;
  const base = word(fields.base) ?? "cellwire";
  const text = (key: string, name: string, hint?: string) => (
    <TextField label={t(`settings.mqtt.${name}` as TextKey)} hint={hint} value={String(fields[key])} onInput={(value) => set(key, value)} error={error(key)} optional />
  );
  return (
    <Card title={t("settings.mqtt")} aside={<StateOf output="mqtt" />}>
      <ReasonOf output="mqtt" />
      <form ref={form.element} onSubmit={form.send} noValidate>
        {text("url", "url", t("settings.mqtt.url.hint"))}
        <div class="settings-pair">
          {text("user", "user")}
          <TextField
            label={t("settings.mqtt.password")}
            hint={settings.password_file ? t("settings.mqtt.password.file", { file: settings.password_file }) : t("settings.mqtt.password.hint")}
            type="password"
            autocomplete="new-password"
            value={String(fields.password)}
            onInput={(value) => set("password", value)}
            error={error("password")}
            disabled={!!settings.password_file}
            optional
          />
        </div>
        {text("base", "base", t("settings.mqtt.base.hint", { topic: `${base}/NAME/state` }))}
        <CheckField
          label={t("settings.mqtt.single")}
          hint={t("settings.mqtt.single.hint", { topic: `${base}/NAME/voltage` })}
          value={fields.single === true}
          onInput={(value) => set("single", value)}
        />
        <GrantField form={form} hint={t("settings.mqtt.grant.hint", { topic: `${base}/NAME/set/charge_switch` })} />
        <div class="settings-pair">
          <SelectField
            label={t("settings.mqtt.discovery")}
            hint={t("settings.mqtt.discovery.hint")}
            value={String(fields["home_assistant.discovery"])}
            onInput={(value) => set("home_assistant.discovery", value)}
            options={(["device", "entity", "off"] as const).map((style) => [style, t(`settings.mqtt.discovery.${style}`)] as const)}
            error={error("home_assistant.discovery")}
          />
          {text("home_assistant.prefix", "prefix")}
        </div>
        <SelectField
          label={t("settings.mqtt.protocol")}
          value={String(fields.protocol)}
          onInput={(value) => set("protocol", value)}
          options={[["auto", t("settings.mqtt.protocol.auto")], ["5", "5"], ["3.1.1", "3.1.1"]]}
          error={error("protocol")}
        />
        <p class="hint">{t("settings.mqtt.file")}</p>
        <Save form={form} saved={saved} writable={writable} />
      </form>
    </Card>
  );
}

/** The most that may be done over an output. */
function GrantField({ form, hint }: { form: Form; hint: string }) {
  return (
    <SelectField
      label={t("settings.output.grant")}
      hint={hint}
      value={String(form.fields.grant)}
      onInput={(value) => form.set("grant", value)}
      options={GRANTS.map((name) => [name, t(`packs.grant.${name}`)] as const)}
      error={form.error("grant")}
    />
  );
}

export function modbusFaults(fields: Fields): Faults {
  const fault = word(fields.baud) ? numberFault(fields.baud, 300, 1000000, true) : ({ text: "missing" } as const);
  return fault ? { baud: fault } : {};
}

function ModbusForm({ settings, writable }: { settings: ModbusSettings; writable: boolean }) {
  const [saved, setSaved] = useState(justSaved("modbus"));
  const form = useForm(
    {
      listen: settings.listen ?? "",
      allow: (settings.allow ?? []).join("\n"),
      serial: settings.serial ?? "",
      baud: String(settings.baud ?? 9600),
      parity: settings.parity ?? "none",
      grant: settings.grant ?? "read",
      invert_current: settings.invert_current ?? false,
    },
    modbusFaults,
    async (fields) => {
      setSaved(false);
      await api.putModbus({
        listen: word(fields.listen),
        allow: hosts(String(fields.allow)),
        serial: word(fields.serial),
        baud: typed(fields.baud) ?? 9600,
        parity: String(fields.parity),
        grant: fields.grant as Grant,
        invert_current: fields.invert_current === true,
      });
      noteSaved("modbus");
      setSaved(true);
    },
  );
  const { fields, set, error } = form;
  const text = (key: "listen" | "serial") => (
    <TextField label={t(`settings.modbus.${key}`)} hint={t(`settings.modbus.${key}.hint`)} value={String(fields[key])} onInput={(value) => set(key, value)} error={error(key)} optional />
  );
  return (
    <Card title={t("settings.modbus")} aside={<StateOf output="modbus" />}>
      <ReasonOf output="modbus" />
      <p class="small muted">{t("settings.modbus.lead")}</p>
      <form ref={form.element} onSubmit={form.send} noValidate>
        {text("listen")}
        <Field label={t("settings.modbus.allow")} hint={t("settings.modbus.allow.hint")} error={error("allow")} optional>
          {(ids) => <textarea {...ids} rows={2} value={String(fields.allow)} autocapitalize="none" spellcheck={false} onInput={(event) => set("allow", event.currentTarget.value)} />}
        </Field>
        {text("serial")}
        <div class="settings-pair">
          <TextField label={t("settings.modbus.baud")} unit="baud" inputMode="numeric" value={String(fields.baud)} onInput={(value) => set("baud", value)} error={error("baud")} />
          <SelectField
            label={t("settings.modbus.parity")}
            value={String(fields.parity)}
            onInput={(value) => set("parity", value)}
            options={(["none", "even", "odd"] as const).map((parity) => [parity, t(`settings.modbus.parity.${parity}`)] as const)}
            error={error("parity")}
          />
        </div>
        <GrantField form={form} hint={t("settings.modbus.grant.hint")} />
        <CheckField
          label={t("settings.modbus.invert_current")}
          hint={t("settings.modbus.invert_current.hint")}
          value={fields.invert_current === true}
          onInput={(value) => set("invert_current", value)}
        />
        <Save form={form} saved={saved} writable={writable} />
      </form>
    </Card>
  );
}

function Databases({ databases, path }: { databases: readonly InfluxSettings[]; path: string }) {
  return (
    <Card title={t("settings.influx")}>
      {databases.length === 0 && <p>{t("settings.influx.none")}</p>}
      <Pairs rows={databases.map(({ name, url }) => [name, <code key={name}>{url}</code>] as const)} />
      <p class="small muted settings-path">{t("settings.influx.file", { path })}</p>
    </Card>
  );
}

/** How it goes with an output, when there is one. */
type Named = { output: "mqtt" | "modbus" };

function healthOf(output: Named["output"]) {
  return health.value?.outputs?.find((one) => one.output === output);
}

function StateOf({ output }: Named) {
  const found = healthOf(output);
  return found ? <OutputState output={found} /> : null;
}

/** Why an output fails, and what to do. */
function ReasonOf({ output }: Named) {
  const reason = healthOf(output)?.reason;
  return reason ? <p class="settings-reason bad">{reason}</p> : null;
}
