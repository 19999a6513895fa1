// A form made from a JSON schema: which fields it has, what is typed in them, and the arguments that come out.
//
// Pure; knows nothing of React. Rules:
//
// * A schema is a stranger's: what cannot be a form is a field of JSON text, and nothing here raises for any schema.
// * What nobody touched comes out as it came in, to the letter.
// * An optional field that is left empty is left out.
//
// A field: {kind, key, label, description, required, nullable, initial, fields?, options?, item?}; `initial` is undefined
// where the arguments do not have it. A draft is what is typed: a string, a boolean, a list of {id, draft} or, for a
// group, an object of drafts.

import { clip, isObject, isScalar, labelOf, written } from "./tool-views.js";

const DEEP = 6;
const LONG = 80; // characters from which on a text gets an area
const LISTED = 50; // items that are edited one by one
const HINTS = { string: "", number: 0, integer: 0, boolean: false };

export function formOf(schema, args) {
  const root = isObject(schema) ? schema : {};
  return groupOf({ key: "", label: "", description: "", required: true, nullable: false, initial: args }, plain(root, root), root, 0);
}

function fieldOf(key, schema, initial, required, root, depth) {
  const full = plain(schema, root, initial);
  const field = {
    key,
    label: labelled(key, full.title),
    description: typeof full.description === "string" ? clip(full.description, 1000) : "",
    required,
    nullable: full.nullable === true,
    initial,
  };
  if (Array.isArray(full.enum)) return choiceOf(field, full.enum);
  const type = full.type ?? kindOfValue(initial, full);
  if (initial !== undefined && initial !== null && !fits(initial, type)) return { ...field, kind: "json" };
  if (type === "object") return isObject(initial ?? {}) && initial !== null && depth < DEEP ? groupOf(field, full, root, depth) : { ...field, kind: "json" };
  if (type === "array") return listOf(field, full, root, depth);
  if (type === "boolean" && (!required || field.nullable)) return choiceOf(field, [true, false]);
  if (type === "string") return { ...field, kind: isLong(initial, full) ? "long" : "text" };
  return { ...field, kind: Object.hasOwn(HINTS, type) ? type : "json" };
}

// Titles that were only made from the name say no more than ours do.
function labelled(key, title) {
  const label = labelOf(key);
  return typeof title !== "string" || !title.trim() || title.toLowerCase() === label.toLowerCase() ? label : clip(title, 120);
}

function groupOf(field, schema, root, depth) {
  const known = isObject(schema.properties) ? schema.properties : {};
  const values = isObject(field.initial) ? field.initial : {};
  const needed = new Set(Array.isArray(schema.required) ? schema.required : []);
  const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);
  const others = Object.keys(values).filter((key) => !Object.hasOwn(known, key));
  if (depth && !Object.keys(known).length) return { ...field, kind: "json" };
  return {
    ...field,
    kind: "group",
    fields: [
      ...Object.keys(known).map((key) => fieldOf(key, known[key], own(values, key), needed.has(key), root, depth + 1)),
      ...others.map((key) => fieldOf(key, {}, values[key], true, root, depth + 1)),
    ],
  };
}

function choiceOf(field, options) {
  const all = field.nullable ? options.filter((option) => option !== null) : options;
  const known = field.initial === undefined || field.initial === null || all.some((option) => same(option, field.initial));
  return { ...field, kind: "choice", options: known ? all : [field.initial, ...all] };
}

function listOf(field, schema, root, depth) {
  const item = fieldOf("", isObject(schema.items) ? schema.items : {}, undefined, true, root, depth + 1);
  const list = field.initial ?? [];
  const simple = ["text", "long", "number", "integer", "boolean", "choice"].includes(item.kind);
  const right = Array.isArray(list) && list.length <= LISTED && list.every((value) => isScalar(value) && value !== null && fits(value, item.kind));
  if (!simple || !right || field.initial === null || schema.prefixItems) return { ...field, kind: "json" };
  return { ...field, kind: "list", item: { ...item, description: "" } };
}

// The schema without references, and without unions where one of them is meant; `nullable` where it may be null.
function plain(schema, root, value, left = 8) {
  if (!isObject(schema) || left === 0) return {};
  const { $ref, allOf, anyOf, oneOf, ...rest } = schema;
  if (typeof $ref === "string") return { ...plain(target($ref, root), root, value, left - 1), ...rest };
  if (Array.isArray(allOf) && allOf.length === 1) return { ...plain(allOf[0], root, value, left - 1), ...rest };
  if (Object.hasOwn(rest, "const")) rest.enum = [rest.const];
  const union = anyOf ?? oneOf ?? (Array.isArray(rest.type) ? rest.type.map((type) => ({ type })) : null);
  if (!Array.isArray(union)) return Array.isArray(rest.enum) && rest.enum.includes(null) ? { ...rest, nullable: true } : rest;
  delete rest.type;
  const options = union.map((option) => plain(option, root, value, left - 1));
  const meant = options.filter((option) => option.type !== "null");
  const nullable = meant.length < options.length || meant.some((option) => option.nullable);
  if (meant.length && meant.every((option) => Array.isArray(option.enum))) return { ...rest, nullable, enum: meant.flatMap((option) => option.enum) };
  const chosen = meant.length === 1 ? meant[0] : meant.find((option) => isScalar(value ?? {}) && fits(value, option.type));
  return { ...(chosen ?? { type: "json" }), ...rest, nullable };
}

function target(reference, root) {
  if (!reference.startsWith("#/")) return {};
  const steps = reference.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((at, step) => (isObject(at) && Object.hasOwn(at, step) ? at[step] : {}), root);
}

function kindOfValue(value, schema) {
  if (isObject(schema.properties)) return "object";
  if (value === undefined || value === null) return schema.items ? "array" : "json";
  return Array.isArray(value) ? "array" : typeof value;
}

function fits(value, type) {
  switch (type) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
    case "number":
      // A number that JavaScript would round comes as text.
      return typeof value === "number" || (typeof value === "string" && /^-?\d{16,}$/.test(value));
    case "string":
    case "text":
    case "long":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    default:
      return true;
  }
}

function isLong(value, schema) {
  return (typeof value === "string" && (value.length > LONG || value.includes("\n"))) || schema.maxLength > 400;
}

export function draftOf(field, value = field.initial) {
  const given = value !== undefined && value !== null;
  switch (field.kind) {
    case "group":
      return Object.fromEntries(field.fields.map((inner) => [inner.key, draftOf(inner)]));
    case "list":
      return (value ?? []).map((item, id) => ({ id, draft: draftOf(field.item, item) }));
    case "boolean":
      return value === true;
    case "choice":
      return given ? String(field.options.findIndex((option) => same(option, value))) : "";
    case "json":
      return value === undefined ? "" : written(value);
    default:
      return given ? String(value) : "";
  }
}

// {value, errors}: `value` is undefined where the field is left out; `errors` are [path, sentence].
export function valueOf(field, draft, path = "") {
  if (same(draft, draftOf(field)) && (field.initial !== undefined || !field.required)) return { value: field.initial, errors: [] };
  const wrong = (sentence) => ({ value: undefined, errors: [[path, sentence]] });
  switch (field.kind) {
    case "group":
      return groupValue(field, draft, path);
    case "list": {
      const items = draft.map((item, i) => valueOf({ ...field.item, initial: undefined }, item.draft, `${path}/${i}`));
      return { value: items.map((item) => item.value), errors: items.flatMap((item) => item.errors) };
    }
    case "boolean":
      return { value: draft, errors: [] };
    case "choice":
      if (draft !== "") return { value: field.options[Number(draft)], errors: [] };
      break;
    case "json":
      if (!draft.trim()) break;
      try {
        return { value: JSON.parse(draft), errors: [] };
      } catch {
        return wrong("This is not valid JSON.");
      }
    case "integer":
    case "number":
      if (draft.trim()) return numberValue(field, draft.trim(), wrong);
      break;
    default:
      if (draft || field.required) return { value: field.nullable && !draft ? null : draft, errors: [] };
  }
  if (field.nullable && field.required) return { value: null, errors: [] };
  return field.required ? wrong("This is needed.") : { value: undefined, errors: [] };
}

function numberValue(field, text, wrong) {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) return wrong("This is not a number.");
  const value = Number(text);
  if (field.kind === "integer" && !Number.isInteger(value)) return wrong("This is not a whole number.");
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) return wrong("This number is too large.");
  return { value, errors: [] };
}

function groupValue(field, draft, path) {
  const value = {};
  const errors = [];
  for (const inner of field.fields) {
    const made = valueOf(inner, draft[inner.key], `${path}/${inner.key}`);
    errors.push(...made.errors);
    // Never by assignment: a field may be called __proto__.
    if (made.value !== undefined) Object.defineProperty(value, inner.key, { value: made.value, enumerable: true, configurable: true, writable: true });
  }
  const nothing = !Object.keys(value).length && !errors.length && !field.required && field.initial === undefined;
  return { value: nothing ? undefined : value, errors };
}

export function same(a, b) {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]));
}
