/** The marks of events above a chart: each can be reached with the keyboard and tells its text. */
import { useState } from "preact/hooks";
import { t } from "../../texts";
import { type Happening, type Mark, marks } from "./marks";
import type { Moments } from "./span";
import { moment } from "./ticks";

const SHOWN = 6; // texts of one mark

interface Props {
  events: readonly Happening[];
  shown: Moments;
  box: { left: number; width: number };
}

export function Lane({ events, shown, box }: Props) {
  const [open, setOpen] = useState<string | null>(null);
  if (box.width <= 0) return null;
  const all = marks(events, shown.start, shown.end, box.width, 26);
  return (
    <div class="history-lane" style={{ left: `${box.left}px`, width: `${box.width}px` }}>
      {all.map((mark) => {
        const key = `${mark.events[0]?.time} ${mark.events[0]?.text}`;
        const show = () => setOpen(key);
        const hide = () => setOpen((now) => (now === key ? null : now));
        return (
          <div key={key} class={`history-mark ${mark.sort}`} style={{ left: `${mark.x}px` }} onMouseEnter={show} onMouseLeave={hide}>
            <button
              type="button"
              aria-label={label(mark)}
              onFocus={show}
              onBlur={hide}
              onClick={show}
              onKeyDown={(event) => event.key === "Escape" && hide()}
            >
              <span aria-hidden="true">{mark.events.length > 1 ? mark.events.length : ""}</span>
            </button>
            {open === key && <Text mark={mark} before={mark.x > box.width / 2} />}
          </div>
        );
      })}
    </div>
  );
}

function label(mark: Mark): string {
  const texts = mark.events.slice(0, SHOWN).map((event) => `${moment(event.time)} ${spoken(event)}`);
  const text = texts.join("; ");
  return mark.events.length === 1 ? t("history.events.one", { text }) : t("history.events.many", { n: mark.events.length, text });
}

/** Return the text, with the pack's name before it when it does not say it itself. */
function spoken(event: Happening): string {
  return event.name && !event.text.includes(event.name) ? `${event.name}: ${event.text}` : event.text;
}

function Text({ mark, before }: { mark: Mark; before: boolean }) {
  const more = mark.events.length - SHOWN;
  return (
    <div class={`history-tip${before ? " before" : ""}`} aria-hidden="true">
      {mark.events.slice(0, SHOWN).map((event) => (
        <p key={`${event.time} ${event.text}`}>
          <time>{moment(event.time)}</time> {spoken(event)}
        </p>
      ))}
      {more > 0 && <p>{t("history.events.more", { n: more })}</p>}
    </div>
  );
}
