/** Short hints for wiring, by family. */
import { Card } from "../../parts/Card";
import { t, type TextKey } from "../../texts";

const FAMILIES = ["jk", "jkpb", "jbd", "daly"] as const;
const GENERAL = [1, 2, 3, 4];
const OWN = [1, 2];

export function Wiring() {
  return (
    <Card title={t("packs.wiring")}>
      <p class="small">{t("packs.wiring.lead")}</p>
      <ul class="packs-hints">
        {GENERAL.map((number) => (
          <li key={number}>{t(`packs.wiring.general.${number}` as TextKey)}</li>
        ))}
      </ul>
      {FAMILIES.map((family) => (
        <details key={family} class="packs-family">
          <summary>{t(`packs.wiring.${family}`)}</summary>
          <ul class="packs-hints">
            {OWN.map((number) => (
              <li key={number}>{t(`packs.wiring.${family}.${number}` as TextKey)}</li>
            ))}
          </ul>
        </details>
      ))}
    </Card>
  );
}
