// The sign-in works without this: it adds passkeys, where the browser has them.

import { t } from "../look/page.js";
import { get, isSupported } from "./passkeys.js";

const button = document.querySelector("[data-testid=passkey]");
const error = document.querySelector("[role=alert]");
const { base, next, offered } = button.dataset;
button.hidden = offered === "hidden" || !isSupported();

async function post(path, body) {
  const answer = await fetch(base + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(t(value.error.message));
  return value;
}

button.addEventListener("click", async () => {
  error.hidden = true;
  try {
    const { ceremony, options } = await post("/sign-in/passkey/options", {});
    const { to } = await post("/sign-in/passkey", { ceremony, next, credential: await get(options) });
    location.assign(to);
  } catch (problem) {
    error.textContent = problem.name === "NotAllowedError" ? t("No passkey was used.") : problem.message;
    error.hidden = false;
  }
});
