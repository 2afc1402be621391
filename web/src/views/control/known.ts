/** What can be set on a pack, asked of the gateway again whenever something may have changed it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, type ControlSettings } from "../../api";
import { events, packNamed, reloads, seconds, stateOf, tick } from "../../live";

export interface Known {
  settings: ControlSettings | null;
  since: number; // seconds since the gateway said so: its ages have grown by that
  error: string;
  take: (settings: ControlSettings) => void;
  again: () => void;
}

export function useSettings(name: string, wanted = true): Known {
  const [settings, setSettings] = useState<ControlSettings | null>(null);
  const [got, setGot] = useState(0);
  const [error, setError] = useState("");
  const asked = useRef(0);
  const pack = packNamed(name);
  const state = pack && stateOf(pack);
  const written = events.value.find((event) => event.kind === "command" && event.name === name);
  const take = (found: ControlSettings) => {
    asked.current += 1; // an answer that is still on its way is older
    setSettings(found);
    setGot(seconds());
    setError("");
  };
  const again = () => {
    const own = (asked.current += 1);
    api.settings(name).then(
      (found) => own === asked.current && take(found),
      (reason: unknown) => own === asked.current && setError(textOf(reason)),
    );
  };
  useEffect(() => {
    if (wanted) again();
    else setSettings(null);
  }, [name, wanted, state, reloads.value, written]);
  return { settings: settings?.pack === name ? settings : null, since: Math.max(0, tick.value - got), error, take, again };
}

/** Return what went wrong, in words. */
export function textOf(reason: unknown): string {
  return reason instanceof ApiError ? reason.text : String(reason);
}
