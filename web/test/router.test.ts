import { describe, expect, it } from "vitest";
import { link, parse } from "../src/router";
import { safeBack } from "../src/views/login/back";

describe("addresses", () => {
  it.each(["House 1", "50 %/a", "ä?#&"])("come back as they were: %s", (name) => {
    const route = parse(link("pack", name));
    expect([route.view, route.param]).toEqual(["pack", name]);
  });

  it("carry a query", () => {
    const route = parse(link("history", "", { of: "jbd-001", span: "day" }));
    expect(route.view).toBe("history");
    expect(route.query.get("of")).toBe("jbd-001");
  });

  it("are the overview when empty, and bear a stray percent sign", () => {
    expect(parse("").view).toBe("");
    expect(parse("#/").view).toBe("");
    expect(parse("#/pack/100%").param).toBe("100%");
  });

  it("lead back to this page only", () => {
    expect(safeBack("#/pack/House")).toBe("#/pack/House");
    expect(safeBack("https://example.org/")).toBe("#/");
    expect(safeBack("#/login?back=%23%2F")).toBe("#/");
    expect(safeBack(null)).toBe("#/");
  });
});
