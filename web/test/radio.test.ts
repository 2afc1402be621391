import { describe, expect, it } from "vitest";
import type { Pack } from "../src/api";
import type { Kept } from "../src/live";
import { recoveries } from "../src/views/pack/quality";
import { countdown, releasedFor, sharing } from "../src/views/pack/released";

const pack = (name: string, link: Partial<Pack["link"]>): Kept<Pack> => ({ pack: name, link: { counts: {}, ...link }, got: 100 }) as unknown as Kept<Pack>;

describe("a released pack", () => {
  it("comes back when its time is over, whatever the device's clock says", () => {
    const released = pack("shed", { address: "a", released_for: 60 });
    expect(releasedFor(released, 99)).toBe(60);
    expect(releasedFor(released, 130)).toBe(30);
    expect(releasedFor(released, 500)).toBe(0);
    expect(releasedFor(pack("shed", { address: "a" }), 130)).toBeNull();
  });

  it("counts down as a clock does", () => {
    expect([600, 599.4, 65, 59.2, 9, 0.2, 0].map(countdown)).toEqual(["10:00", "10:00", "1:05", "1:00", "0:09", "0:01", "0:00"]);
    expect(countdown(14400)).toBe("240:00");
  });

  it("takes those on its link with it", () => {
    const all = [pack("shed", { address: "a" }), pack("van", { address: "b" }), pack("barn", { address: "a" })];
    expect(sharing(all[0]!, all)).toEqual(["barn"]);
    expect(sharing(all[1]!, all)).toEqual([]);
    expect(sharing({ pack: "new" } as Pack, all)).toEqual([]);
  });
});

it("what was done about a link is not what was counted of it", () => {
  expect(recoveries({ connections: 4, drops: 3, notify_again: 2, reconnect: 0 })).toEqual([["notify_again", 2]]);
});
