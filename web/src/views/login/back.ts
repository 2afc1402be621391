/** The way back to where the reader was before the login. */
import { link } from "../../router";

/** Return where to go after the login: only a place of this page. */
export function safeBack(back: string | null): string {
  return back && back.startsWith("#/") && !back.startsWith("#/login") ? back : link();
}
