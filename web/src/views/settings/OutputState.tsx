/** The state of an output in a word and a sign. */
import type { OutputHealth } from "../../api";
import { Badge } from "../../parts/Badge";
import { t } from "../../texts";

const LOOKS = { starting: ["idle", "clock"], running: ["good", "good"], failing: ["bad", "bad"] } as const;

export function OutputState({ output }: { output: OutputHealth }) {
  const [tone, icon] = LOOKS[output.state] ?? LOOKS.starting;
  return (
    <Badge tone={tone} icon={icon}>
      {t(`output.state.${output.state}`)}
    </Badge>
  );
}
