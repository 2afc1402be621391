import { expect, test } from "vitest";
import type { OutputHealth } from "../src/api";
import { byField } from "../src/views/packs/form";
import { modbusFaults, mqttFields, mqttSettings } from "../src/views/settings/Outputs";
import { outputRows, outputTitle } from "../src/views/settings/told";

const BROKER = { url: "mqtt://192.0.2.10", user: "anna", base: "home/battery", home_assistant: { discovery: "entity", prefix: "ha" } };

test("what is shown is what is sent, and no password", () => {
  expect(mqttSettings(mqttFields(BROKER))).toEqual({ ...BROKER, protocol: "auto", single: false, grant: "read" });
});

test("a password is sent when it was typed, and goes with its user", () => {
  const fields = mqttFields(BROKER);
  expect(fields.password).toBe("");
  expect(mqttSettings({ ...fields, password: " with blanks " }).password).toBe(" with blanks ");
  expect(mqttSettings({ ...fields, user: " " })).toMatchObject({ user: null, password: null });
});

test("what is emptied is taken away", () => {
  const fields = { ...mqttFields(BROKER), url: "", base: " ", "home_assistant.prefix": "" };
  expect(mqttSettings(fields)).toMatchObject({ url: null, base: null, home_assistant: { discovery: "entity", prefix: null } });
});

test.each([["", "missing"], ["fast", "no_number"], ["9600.5", "whole"], ["200", "range"]])("a speed of %j is refused", (baud, text) => {
  expect(modbusFaults({ baud }).baud?.text).toBe(text);
});

test("mistakes find their fields", () => {
  const mistake = (key: string) => ({ line: 1, key, problem: "p", fix: "f" });
  const keys = [...Object.keys(mqttFields({})), "listen", "allow"];
  const found = byField(["mqtt.url", "mqtt.home_assistant.prefix", "modbus.allow", "mqtt.ca"].map(mistake), keys);
  expect(Object.keys(found)).toEqual(["url", "home_assistant.prefix", "allow", ""]);
});

test("outputs tell what there is, nothing for what is not", () => {
  const broker: OutputHealth = { output: "mqtt", name: "192.0.2.10:1883", state: "running", published: 12, waiting: 0 };
  expect(outputTitle(broker)).toBe("MQTT: 192.0.2.10:1883");
  expect(outputRows(broker)).toEqual([["Messages sent", "12"], ["Messages waiting", "0"]]);
  const server: OutputHealth = { output: "modbus", name: "modbus", state: "running", addresses: [], units: { 1: "shed", 101: "house" }, refused: 0 };
  expect(outputTitle(server)).toBe("Modbus");
  expect(outputRows(server)).toEqual([["Units", "1 shed, 101 house"]]);
  const unknown = { output: "pigeon", name: "pigeon", state: "running" } as unknown as OutputHealth;
  expect([outputTitle(unknown), outputRows(unknown)]).toEqual(["pigeon", []]);
});
