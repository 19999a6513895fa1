// The page of one's account: lists what the API has, and does what a person asks. Texts are set as text, never as HTML.

import { t } from "../look/page.js";
import { caller, when } from "./api.js";
import { create as createPasskey, isSupported } from "./passkeys.js";

const main = document.querySelector("main");
main.setAttribute("aria-busy", "true"); // here, so that a page whose script does not come is no empty one
const { base, ways, role } = main.dataset;
const call = caller(base, "/account");
const error = document.querySelector("[role=alert]");

// Do it, show why it did not work, and show everything as it is now.
async function attempt(work) {
  error.hidden = true;
  try {
    await work();
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
    error.scrollIntoView({ block: "nearest" });
  }
  await show();
}

function row(title, details, ...buttons) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  text.append(title, Object.assign(document.createElement("small"), { textContent: details }));
  item.append(text, ...buttons);
  return item;
}

function button(label, work, testId) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: label });
  if (testId) element.dataset.testid = testId;
  element.addEventListener("click", () => attempt(work));
  return element;
}

function list(id, rows) {
  document.querySelector(`[data-testid=${id}]`).replaceChildren(...rows);
}

async function show() {
  const { sessions } = await call("GET", "/account/sessions");
  list("sessions", sessions.map((session) => row(
    session.current ? t("This browser") : session.agent || t("A browser"),
    t("{0} · last used {1}", session.address, when(session.used_at)),
    button(t(session.current ? "Sign out here" : "Sign out"), () => call("DELETE", `/account/sessions/${session.id}`), "end-session"),
  )));
  document.getElementById("sessions").hidden = !sessions.length;
  const { keys } = await call("GET", "/account/keys");
  list("keys", keys.map((key) => row(
    key.name,
    t("{0} · last used {1}", `${key.hint}… · ${key.scopes.join(", ")}`, when(key.used_at)),
    button(t("Revoke"), () => call("DELETE", `/account/keys/${key.id}`), "revoke-key"),
  )));
  await showOwnKeys();
  await showWebhooks();
  if (ways !== "accounts") return;
  const { passkeys } = await call("GET", "/account/passkeys");
  document.getElementById("passkeys").hidden = !isSupported();
  document.getElementById("password").hidden = false;
  document.querySelector("[data-creates=deletion]").hidden = false;
  list("passkeys", passkeys.map((passkey) => row(
    passkey.name,
    t("last used {0}", when(passkey.used_at)),
    button(t("Remove"), () => call("DELETE", `/account/passkeys/${encodeURIComponent(passkey.id)}`)),
  )));
  if (role === "admin") await showPeople();
}

async function showOwnKeys() {
  const { off, vendors } = await call("GET", "/keys");
  const own = vendors.filter(({ key }) => key);
  document.getElementById("own-keys").hidden = Boolean(off) && !own.length;
  document.querySelector("[data-creates=ownKey]").hidden = Boolean(off);
  list("own-keys", own.map(({ vendor, name, host, key }) => row(
    name,
    t("…{0} · sent to {1} · set {2} · last used {3}", key.ending, host, when(key.set_at), when(key.used_at)),
    button(t("Remove"), () => call("DELETE", `/keys/${vendor}`), "remove-own-key"),
  )));
  document.querySelector("[data-testid=own-key-vendor]").replaceChildren(
    ...vendors.map(({ vendor, name }) => new Option(name, vendor)),
  );
}

const roleOf = ({ role, disabled }) => t(role) + (disabled ? `, ${t("kept out")}` : "");

// The webhook whose deliveries are shown.
let shownWebhook = null;

async function showWebhooks() {
  const { webhooks } = await call("GET", "/webhooks");
  if (!webhooks.some(({ id }) => id === shownWebhook)) shownWebhook = null;
  list("webhooks", webhooks.map(({ id, url, events, created_at, disabled_at }) => row(
    url,
    `${events.join(", ")} · ${disabled_at ? t("disabled since {0}", when(disabled_at)) : t("since {0}", when(created_at))}`,
    button(t(id === shownWebhook ? "Hide deliveries" : "Deliveries"), () => {
      shownWebhook = id === shownWebhook ? null : id;
    }, "show-deliveries"),
    button(t("Remove"), () => call("DELETE", `/webhooks/${id}`), "remove-webhook"),
  )));
  document.getElementById("deliveries").hidden = !shownWebhook;
  if (!shownWebhook) return;
  const { deliveries } = await call("GET", `/webhooks/${shownWebhook}/deliveries?limit=50`);
  list("deliveries", deliveries.map((one) => row(
    `${one.type} · ${one.status}`,
    [
      when(one.attempted_at ?? one.created_at),
      one.attempts === 1 ? t("1 attempt") : t("{0} attempts", one.attempts),
      one.response_status && t("status {0}", one.response_status),
      one.error,
      one.next_at && t("next {0}", when(one.next_at)),
    ].filter(Boolean).join(" · "),
    button(t("Deliver again"), () => call("POST", `/webhooks/${shownWebhook}/deliveries/${one.id}/retry`, {}), "retry-delivery"),
  )));
}

async function showPeople() {
  document.getElementById("people").hidden = false;
  const [{ accounts }, { invitations }] = await Promise.all([call("GET", "/accounts"), call("GET", "/account/invitations")]);
  list("people", accounts.map((person) => row(
    person.name,
    t("{0} · since {1}", roleOf(person), when(person.created_at)),
    button(t(person.role === "admin" ? "Make a user" : "Make an admin"), () =>
      call("PATCH", `/accounts/${person.id}`, { role: person.role === "admin" ? "user" : "admin" })),
    button(t(person.disabled ? "Let in" : "Keep out"), () => call("PATCH", `/accounts/${person.id}`, { disabled: !person.disabled })),
    Object.assign(document.createElement("a"), { className: "button", textContent: t("Download"), href: `${base}/api/accounts/${person.id}/export`, download: "" }),
    button(t("Delete"), () => deletePerson(person)),
  )));
  list("invitations", invitations.map((invitation) => row(
    t(invitation.role === "admin" ? "For an admin" : "For a user"),
    t("until {0}", when(invitation.expires_at)),
    button(t("Withdraw"), () => call("DELETE", `/account/invitations/${invitation.id}`)),
  )));
}

async function deletePerson(person) {
  const name = prompt(t("This deletes everything of {0}, for good. Type the name to confirm it.", person.name));
  if (name !== null) await call("POST", `/accounts/${person.id}/delete`, { name });
}

function reveal(id, text) {
  const shown = document.querySelector(`[data-testid=${id}]`);
  shown.querySelector("code").textContent = text;
  shown.hidden = false;
}

const creates = {
  async key(fields) {
    const key = await call("POST", "/account/keys", { name: fields.name, scopes: fields.scopes.split(",") });
    reveal("new-key", key.key);
  },
  async webhook(fields) {
    const { secret } = await call("POST", "/webhooks", { url: fields.url });
    reveal("new-webhook", secret);
  },
  async ownKey(fields) {
    await call("PUT", `/keys/${fields.vendor}`, { key: fields.key });
  },
  async invitation(fields) {
    const invitation = await call("POST", "/account/invitations", { role: fields.role });
    reveal("new-invitation", location.origin + invitation.path);
  },
  async password(fields) {
    await call("POST", "/account/password", { old: fields.old, new: fields.new });
  },
  async deletion(fields) {
    await call("POST", "/account/delete", { name: fields.name });
  },
  async passkey(fields) {
    const { ceremony, options } = await call("POST", "/account/passkeys/options", {});
    await call("POST", "/account/passkeys", { ceremony, name: fields.name, credential: await createPasskey(options) });
  },
};

for (const form of document.querySelectorAll("form[data-creates]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    attempt(async () => {
      await creates[form.dataset.creates](fields);
      form.reset();
    });
  });
}

await attempt(async () => {}).finally(() => main.removeAttribute("aria-busy"));
