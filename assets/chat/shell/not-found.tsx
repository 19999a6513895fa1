// The page for unknown addresses.

import "../common/base.css";
import "./shell.css";

export function NotFound() {
  return (
    <main className="not-found">
      <h1>Page not found</h1>
      <p>This conversation does not exist.</p>
      <a className="button" href="/">
        Go to streamchat
      </a>
    </main>
  );
}
