/** Asks before something is taken away; says why when the gateway refuses. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../../api";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Notice } from "../../parts/Notice";

interface Props {
  title: string;
  action: string;
  children: ComponentChildren;
  onClose: () => void;
  onSure: () => Promise<void>;
}

export function Sure({ title, action, children, onClose, onSure }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const sure = () => {
    setBusy(true);
    onSure().catch((reason: unknown) => {
      setBusy(false);
      setError(reason instanceof ApiError ? reason.text : String(reason));
    });
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <Button tone="bad" icon="remove" disabled={busy} onClick={sure}>
          {action}
        </Button>
      }
    >
      {error && <Notice tone="bad">{error}</Notice>}
      <div class="stack">{children}</div>
    </Dialog>
  );
}
