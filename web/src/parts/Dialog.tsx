/** A dialog over the page: the browser's own, so that focus and the Escape key work as everywhere. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../texts";
import { Button } from "./Button";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  actions?: ComponentChildren; // right of "Cancel"
  leave?: string; // in place of "Cancel"
}

export function Dialog({ title, onClose, children, actions, leave = t("dialog.cancel") }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const own = dialog.current;
    const before = document.activeElement as HTMLElement | null;
    own?.showModal();
    return () => {
      own?.close();
      before?.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog">
        <header class="card-head">
          <h2 id={id}>{title}</h2>
          <Button icon="close" tone="quiet" label={t("dialog.close")} onClick={onClose} />
        </header>
        {children}
        {actions && (
          <footer class="actions end">
            <Button onClick={onClose}>{leave}</Button>
            {actions}
          </footer>
        )}
      </div>
    </dialog>
  );
}
