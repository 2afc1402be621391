/** Which view is open: hash addresses, so that the page works under any path prefix. */
import { signal } from "@preact/signals";

export interface Route {
  view: string; // "" is the overview
  param: string; // what follows the view's name, decoded
  query: URLSearchParams;
}

/** Return the route of a hash such as "#/pack/House%201?tab=cells". */
export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/");
  return { view: decoded(view), param: decoded(rest.join("/")), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % that somebody typed
  }
}

/** Return the hash address of a view, for href. */
export function link(view = "", param = "", query: Record<string, string> = {}): string {
  const words = new URLSearchParams(query).toString();
  return `#/${view}${param ? "/" + encodeURIComponent(param) : ""}${words ? "?" + words : ""}`;
}

export const route = signal<Route>(parse(typeof location === "undefined" ? "" : location.hash));

/** Go to an address made by link(); `replace` leaves no step back to where we are. */
export function go(address: string, replace = false): void {
  if (replace) {
    history.replaceState(null, "", address);
    route.value = parse(address);
  } else location.hash = address;
}

/** Follow the address bar from now on. */
export function follow(): void {
  addEventListener("hashchange", () => {
    route.value = parse(location.hash);
  });
}
