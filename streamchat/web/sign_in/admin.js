// The page of admins: lists what the API has, and does what an admin asks. Texts are set as text, never as HTML.

import { number as count, t } from "../look/page.js";
import { caller, when } from "./api.js";

const main = document.querySelector("main");
main.setAttribute("aria-busy", "true"); // here, so that a page whose script does not come is no empty one
const { base, self, accounts } = main.dataset;
const call = caller(base, "/admin");
const error = document.querySelector("[role=alert]");
const days = find("usage-days");
const LIMITS = [
  ["requests", t("Answers a day"), "1"],
  ["tokens", t("Tokens a day"), "1"],
  ["cost", t("US dollars a day"), "any"],
  ["running", t("Answers at once"), "1"],
];

function find(id) {
  return document.querySelector(`[data-testid=${id}]`);
}

// Do it, show why it did not work, and show everything as it is now.
async function attempt(work) {
  error.hidden = true;
  try {
    await work();
    await show();
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
    error.scrollIntoView({ block: "nearest" });
  }
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function button(label, testId, work) {
  const made = element("button", { type: "button", textContent: label });
  made.dataset.testid = testId;
  made.addEventListener("click", () => attempt(work));
  return made;
}

const answers = (n) => (n === 1 ? t("1 answer") : t("{0} answers", count(n)));
const tokens = (n) => (n === 1 ? t("1 token") : t("{0} tokens", count(n)));

function dollars(cost) {
  if (cost === 0) return "$0.00";
  if (cost < 1e-6) return t("less than {0}", "$0.000001");
  return `$${cost.toFixed(Math.max(2, 1 - Math.floor(Math.log10(cost))))}`;
}

function limitText(limits) {
  const parts = [];
  if (limits.requests !== null) parts.push(t("{0} a day", answers(limits.requests)));
  if (limits.tokens !== null) parts.push(t("{0} a day", tokens(limits.tokens)));
  if (limits.cost !== null) parts.push(t("{0} a day", dollars(limits.cost)));
  if (limits.running !== null) parts.push(t("{0} at once", answers(limits.running)));
  return parts.join(", ");
}

function limitForm(person) {
  const fields = LIMITS.map(([name, label, step]) => {
    const input = element("input", { name, type: "number", min: "0", step, value: person.limits[name] ?? "" });
    input.dataset.testid = `limit-${name}`;
    return element("label", { textContent: label }, input);
  });
  const save = element("button", { textContent: t("Save"), className: "primary" });
  save.dataset.testid = "save-limits";
  const form = element("form", { className: "row" }, ...fields, save);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = LIMITS.map(([name]) => [name, form.elements[name].value === "" ? null : Number(form.elements[name].value)]);
    attempt(() => call("PUT", `/admin/people/${encodeURIComponent(person.id)}/limits`, Object.fromEntries(values)));
  });
  return element("details", {}, element("summary", { textContent: t("Limits") }), form);
}

function personRow(person) {
  const { requests, running, tokens: used, cost } = person.today;
  const lines = [t("{0} · last seen {1}", t(person.role) + (person.disabled ? `, ${t("disabled")}` : ""), when(person.seen_at))];
  lines.push(t("today {0}, {1} in progress, {2}, {3}", answers(requests), count(running), tokens(used), dollars(cost)));
  const own = limitText(person.limits);
  if (own) lines.push(t("may use {0}", own));
  const text = element("span", {}, person.name, ...lines.map((textContent) => element("small", { textContent })));
  const row = element("li", {}, text);
  row.dataset.personId = person.id;
  if (accounts) {
    const change = (values) => call("PATCH", `/accounts/${encodeURIComponent(person.id)}`, values);
    const isAdmin = person.role === "admin";
    row.append(button(t(isAdmin ? "Make a user" : "Make an admin"), "change-role", () => change({ role: isAdmin ? "user" : "admin" })));
    if (person.id !== self)
      row.append(button(t(person.disabled ? "Enable" : "Disable"), "disable", () => change({ disabled: !person.disabled })));
  }
  row.append(limitForm(person));
  return row;
}

function cells(...values) {
  return element("tr", {}, ...values.map((value, index) => element("td", { textContent: value, className: index > 2 ? "number" : "" })));
}

function costText(cost, unpriced, requests) {
  if (unpriced === requests) return t("unknown");
  return unpriced ? t("{0} and {1} unknown", dollars(cost), count(unpriced)) : dollars(cost);
}

function showUsage(rows) {
  const table = find("usage");
  table.tBodies[0].replaceChildren(...rows.map((row) => cells(
    row.day,
    (row.name || row.owner) + (row.credential ? ` (${t("key")})` : ""),
    row.model,
    count(row.requests), count(row.input), count(row.output),
    costText(row.cost, row.unpriced, row.requests),
  )));
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  table.tFoot.replaceChildren(cells(
    t("Together"), "", "",
    count(sum("requests")), count(sum("input")), count(sum("output")),
    rows.length ? costText(sum("cost"), sum("unpriced"), sum("requests")) : "",
  ));
}

function modelRow(model) {
  const state = model.off ? t("off") : model.unavailable ? t("cannot be used: {0}", t(model.unavailable)) : t("on");
  const row = element("li", {}, element("span", {}, model.label, element("small", { textContent: `${model.id} · ${state}` })));
  row.dataset.modelId = model.id;
  row.append(button(t(model.off ? "Switch on" : "Switch off"), "switch-model", () => call("PUT", "/admin/models", { model: model.id, off: !model.off })));
  return row;
}

function showHealth(health) {
  const lines = {
    [t("Version")]: health.version,
    [t("Process")]: String(health.process),
    [t("Database")]: health.database,
    [t("Answers in progress")]: health.max_answers === null ? count(health.writing) : t("{0} of {1}", count(health.writing), count(health.max_answers)),
    [t("Answers in line")]: count(health.waiting),
    [t("Models that can be used")]: count(health.models),
    [t("Pauses of more than 50 ms")]: health.pauses ? t("{0}, the longest {1} ms", count(health.pauses), count(health.longest_pause_ms)) : t("none"),
  };
  const pairs = Object.entries(lines).flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })]);
  find("health").replaceChildren(...pairs);
}

async function show() {
  const [{ people, defaults }, { usage }, { models }, health] = await Promise.all([
    call("GET", "/admin/people"),
    call("GET", `/admin/usage?days=${days.value}`),
    call("GET", "/admin/models"),
    call("GET", "/admin/health"),
  ]);
  const everybody = limitText(defaults);
  find("defaults").textContent = everybody ? t("Everybody may use {0}, unless said otherwise.", everybody) : t("There are no limits of a day for everybody.");
  find("admin-people").replaceChildren(...people.map(personRow));
  showUsage(usage);
  find("admin-models").replaceChildren(...models.map(modelRow));
  showHealth(health);
}

days.addEventListener("change", () => attempt(async () => {}));
await attempt(async () => {}).finally(() => main.removeAttribute("aria-busy"));
