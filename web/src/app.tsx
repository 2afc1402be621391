/** The frame around all views: navigation, who is logged in, what is wrong with the line to the gateway. */
import { effect, signal, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { ApiError, api, loggedOut, may, refreshSession, session } from "./api";
import { age } from "./format";
import { downSince, start, stop, stream, tick, unreachable } from "./live";
import { Announcer } from "./parts/Announcer";
import { Button, LinkButton } from "./parts/Button";
import { Icon, type IconName } from "./parts/Icon";
import { Loading } from "./parts/Loading";
import { Notice } from "./parts/Notice";
import { Page } from "./parts/Page";
import { go, link, route } from "./router";
import { t, type TextKey } from "./texts";
import { nextTheme, theme } from "./theme";
import { Login } from "./views/login/Login";
import { Overview } from "./views/overview/Overview";
import { Pack } from "./views/pack/Pack";
import { Setup } from "./views/setup/Setup";

interface View {
  show?: ComponentType;
  load?: () => Promise<ComponentType>; // fetched when first opened, so that the first paint is quick
  open?: boolean; // also without a login
  offered?: () => boolean; // in the navigation: there is something to do
}

const VIEWS: Record<string, View> = {
  "": { show: Overview },
  pack: { show: Pack },
  control: { load: async () => (await import("./views/control/Control")).Control },
  history: { load: async () => (await import("./views/history/History")).History },
  packs: { load: async () => (await import("./views/packs/Packs")).Packs, offered: () => may("configure") },
  events: { load: async () => (await import("./views/events/Events")).Events },
  settings: { load: async () => (await import("./views/settings/Settings")).Settings },
  login: { show: Login, open: true },
  setup: { show: Setup, open: true },
};

const NAVIGATION: readonly [view: string, icon: IconName, text: TextKey][] = [
  ["", "overview", "nav.overview"],
  ["history", "history", "nav.history"],
  ["events", "events", "nav.events"],
  ["packs", "packs", "nav.packs"],
  ["settings", "settings", "nav.settings"],
];

const firstError = signal("");

/** Find out who we are; go on trying until the gateway answers. */
export async function begin(): Promise<void> {
  for (;;) {
    try {
      await refreshSession();
      firstError.value = "";
      break;
    } catch (error) {
      firstError.value = error instanceof ApiError ? error.text : String(error);
      await new Promise((done) => setTimeout(done, 3000));
    }
  }
  effect(guard);
  effect(() => {
    if (loggedOut.value) void expired();
  });
}

let listening: string | null = null; // who the stream is for; null: a guest

/** Listen to the gateway while somebody may read; send everybody else to the login. */
function guard(): void {
  const who = session.value;
  const { view } = route.value;
  if (!who) return;
  if (who.grant) {
    // Not everything on the stream is for everybody.
    if (listening !== who.user) stop();
    listening = who.user;
    void start();
    return;
  }
  if (view !== "login" && view !== "setup") {
    const back = location.hash && location.hash !== "#/" ? { back: location.hash } : {};
    go(link("login", "", back as Record<string, string>), true);
  }
}

async function expired(): Promise<void> {
  const had = session.peek()?.user;
  const back = location.hash;
  if (!had || route.peek().view === "login") return;
  try {
    const now = await refreshSession();
    // Guests may still look: only what needed the lost session is asked to log in for.
    if (!now.user) go(link("login", "", { back, expired: "1" }), !now.grant);
  } catch {
    // The gateway is away; the stream finds out when it is back.
  }
}

async function logout(): Promise<void> {
  try {
    await api.logout();
  } finally {
    stop();
    await refreshSession().catch(() => (session.value = null));
    go(link(session.value?.grant ? "" : "login"));
  }
}

export function App() {
  const frame = useRef<HTMLElement>(null);
  const { view } = route.value;
  const entry = VIEWS[view];
  const first = useRef(true);
  const { param } = route.value;
  // A new view begins at its top, and a screen reader at its heading.
  useEffect(() => {
    if (first.current) first.current = false;
    else {
      scrollTo(0, 0);
      frame.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    }
  }, [view, param]);
  const inside = !!session.value?.grant && view !== "login" && view !== "setup";
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), frame.current?.focus())}>
        {t("app.skip")}
      </a>
      <Header inside={inside} />
      <Line />
      {inside && <Announcer />}
      <main id="content" ref={frame} tabIndex={-1}>
        {!session.value ? <Starting /> : !entry ? <Missing /> : !entry.open && !session.value.grant ? <Loading /> : <Shown key={view} view={view} entry={entry} />}
      </main>
      {inside && <Navigation class="tabbar" />}
    </>
  );
}

function Starting() {
  return firstError.value ? (
    <div class="view narrow">
      <Notice tone="bad">{firstError.value}</Notice>
    </div>
  ) : (
    <Loading />
  );
}

function Missing() {
  return (
    <Page title={t("app.not_found")}>
      <LinkButton href={link()}>{t("app.to_overview")}</LinkButton>
    </Page>
  );
}

function Shown({ view, entry }: { view: string; entry: View }) {
  const [error, again] = useErrorBoundary((cause: unknown) => console.error(cause));
  const loaded = useSignal<{ show: ComponentType } | null>(entry.show ? { show: entry.show } : null);
  const failed = useSignal("");
  useEffect(() => {
    if (loaded.value || !entry.load) return;
    entry.load().then(
      (show) => (loaded.value = { show }),
      // After an update of the gateway the old parts of the page are gone.
      () => (failed.value = t("app.updated")),
    );
  }, [view]);
  if (error || failed.value) {
    return (
      <div class="view narrow">
        <Notice tone="bad" actions={<Button onClick={() => (failed.value ? location.reload() : again())}>{failed.value ? t("app.reload") : t("error.retry")}</Button>}>
          {failed.value || t("app.failed", { text: String(error) })}
        </Notice>
      </div>
    );
  }
  const Now = loaded.value?.show;
  return Now ? <Now /> : <Loading />;
}

function Header({ inside }: { inside: boolean }) {
  const who = session.value;
  const icon: IconName = theme.value === "system" ? "device" : theme.value === "light" ? "sun" : "moon";
  return (
    <header class="top">
      <div class="top-inner">
        <a class="brand" href={link()}>
          <svg viewBox="0 0 64 64" width="28" height="28" aria-hidden="true">
            <rect class="brand-back" width="64" height="64" rx="15" />
            <path class="brand-line" d="M17 18h28q4 0 4 4v20q0 4-4 4H17q-4 0-4-4V22q0-4 4-4zM53 29v6" />
            <path class="brand-pulse" d="M20 32h6l3-7 5 14 3-7h6" />
          </svg>
          <span>{t("app.name")}</span>
        </a>
        {inside && <Navigation class="topnav" />}
        <div class="top-end">
          {inside && <Live />}
          <Button icon={icon} tone="quiet" label={t("app.theme", { theme: t(`app.theme.${theme.value}`) })} onClick={nextTheme} />
          {who?.user && <Button icon="logout" tone="quiet" label={`${t("app.user", { name: who.user })}. ${t("app.logout")}`} onClick={() => void logout()} />}
          {who && !who.user && inside && (
            <LinkButton icon="user" tone="quiet" href={link("login", "", { back: location.hash })}>
              {t("app.login")}
            </LinkButton>
          )}
        </div>
      </div>
    </header>
  );
}

function Live() {
  const text = stream.value === "live" ? t("stream.live") : stream.value === "down" ? t("stream.down.short") : t("stream.connecting");
  return (
    <span class="live" data-stream={stream.value} title={text}>
      <span class="live-dot" aria-hidden="true" />
      <span class="live-text">{text}</span>
    </span>
  );
}

/** What must be said about the line to the gateway, under the header. */
function Line() {
  return (
    <div class="line">
      {unreachable.value && session.value?.grant && (
        <Notice tone="bad" quiet>
          {t("stream.down")} {t("stream.down.for", { age: age(tick.value - downSince.value) })}
        </Notice>
      )}
    </div>
  );
}

function Navigation({ class: which }: { class: string }) {
  const { view } = route.value;
  return (
    <nav class={which} aria-label={t("app.navigation")}>
      {NAVIGATION.filter(([name]) => VIEWS[name]?.offered?.() ?? true).map(([name, icon, text]) => (
        <a key={name} href={link(name)} aria-current={view === name || (name === "" && (view === "pack" || view === "control")) ? "page" : undefined}>
          <Icon name={icon} />
          <span>{t(text)}</span>
        </a>
      ))}
    </nav>
  );
}

