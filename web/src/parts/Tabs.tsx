/** One of a few: tabs over panels, or a row of choices. */
import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";

export interface Tab {
  key: string;
  title: ComponentChildren;
}

interface Props {
  tabs: readonly Tab[];
  current: string;
  onChange: (key: string) => void;
  label: string;
  children: ComponentChildren; // the panel of the current tab
}

export function Tabs({ tabs, current, onChange, label, children }: Props) {
  const id = useId();
  const row = useRef<HTMLDivElement>(null);
  const step = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = (tabs.findIndex((tab) => tab.key === current) + by + tabs.length) % tabs.length;
    onChange(tabs[at]!.key);
    (row.current?.children[at] as HTMLElement | undefined)?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} ref={row} onKeyDown={step}>
        {tabs.map((tab) => (
          <button
            key={tab.key}
            type="button"
            role="tab"
            id={`${id}-${tab.key}`}
            aria-controls={id}
            aria-selected={tab.key === current}
            tabIndex={tab.key === current ? 0 : -1}
            onClick={() => onChange(tab.key)}
          >
            {tab.title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={id} aria-labelledby={`${id}-${current}`}>
        {children}
      </div>
    </>
  );
}

/** A row of choices of which one is pressed, such as spans of time. */
export function Choices<K extends string>({ label, options, current, onChange }: { label: string; options: readonly (readonly [K, string])[]; current: K | ""; onChange: (key: K) => void }) {
  return (
    <div class="choices" role="group" aria-label={label}>
      {options.map(([key, text]) => (
        <button key={key} type="button" aria-pressed={key === current} onClick={() => onChange(key)}>
          {text}
        </button>
      ))}
    </div>
  );
}
