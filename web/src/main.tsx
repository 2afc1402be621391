/** Starts the page. */
import "./styles.css"; // before all others, so that those of the views come after it
import { render } from "preact";
import { App, begin } from "./app";
import { keepTime } from "./live";
import { follow } from "./router";
import { startTheme } from "./theme";

startTheme();
follow();
keepTime();
void begin();
render(<App />, document.getElementById("page")!);
