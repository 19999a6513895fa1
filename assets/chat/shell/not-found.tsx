// The page for unknown addresses.

import "../common/base.css";
import "./shell.css";
import { useAppName } from "../common/page-settings";
import { useShown, useStrings } from "../common/strings";

export function NotFound() {
  const t = useStrings().shell;
  useShown();
  return (
    <main className="not-found">
      <h1>{t.pageNotFound}</h1>
      <p>{t.noSuchConversation}</p>
      <a className="button" href="/">
        {t.goTo(useAppName())}
      </a>
    </main>
  );
}
