// A form made from a JSON schema: its fields, what is typed in them, and the arguments that result.
//
// Pure; knows nothing of React. Rules:
//
// * Schemas are untrusted: a type that no input exists for becomes a field of JSON text, and no schema raises an error.
// * A field that was not edited keeps its value exactly.
// * An optional field that is left empty is left out.

import { strings } from "../common/strings";
import type { Json } from "../store/frames";
import { clip, formatJson, isObject, isScalar, type JsonObject, labelOf } from "./values";

interface FieldBase {
  key: string;
  label: string;
  description: string;
  required: boolean;
  nullable: boolean;
  /** `undefined` if the arguments do not have it. */
  initial: Json | undefined;
  /** The value that is used if it is left out, if the schema says so. */
  fallback?: Json;
}

export interface Group extends FieldBase {
  kind: "group";
  fields: Field[];
}

interface Choice extends FieldBase {
  kind: "choice";
  options: Json[];
}

interface List extends FieldBase {
  kind: "list";
  item: Field;
}

interface Plain extends FieldBase {
  kind: "text" | "long" | "number" | "integer" | "boolean" | "json";
}

export type Field = Group | Choice | List | Plain;

/** What is typed in a field: text, a tick, the items of a list, or the drafts of a group by key. */
export type Draft = string | boolean | DraftItem[] | GroupDraft;
export type GroupDraft = { [key: string]: Draft };

export interface DraftItem {
  id: number;
  draft: Draft;
}

interface Result {
  /** `undefined` if the field is left out. */
  value: Json | undefined;
  /** Path and error message. */
  errors: [string, string][];
}

// biome-ignore lint/suspicious/noExplicitAny: schemas are untrusted; every use checks the type
type Schema = Record<string, any>;

const MAX_DEPTH = 6;
const LONG = 80; // characters from which on a text gets an area
const MAX_ITEMS = 50; // that are edited one by one
const LONG_SCHEMA = 400; // a text that may be longer than this gets an area
const MAX_REFERENCES = 8; // that are followed one after the other
const SCALARS: ReadonlySet<unknown> = new Set(["number", "integer", "boolean"]);
const ITEM_KINDS: ReadonlySet<string> = new Set(["text", "long", "number", "integer", "boolean", "choice"]);

export function formOf(schema: unknown, args: JsonObject): Group {
  const root = isObject(schema) ? schema : {};
  const base = { key: "", label: "", description: "", required: true, nullable: false, initial: args };
  // At depth 0 it is always a group.
  return groupOf(base, resolve(root, root), root, 0) as Group;
}

function fieldOf(
  key: string,
  schema: unknown,
  initial: Json | undefined,
  required: boolean,
  root: Schema,
  depth: number,
): Field {
  const full = resolve(schema, root, initial);
  const base: FieldBase = {
    key,
    label: labelFor(key, full.title),
    description: typeof full.description === "string" ? clip(full.description, 1000) : "",
    required,
    nullable: full.nullable === true,
    initial,
    ...(!required && full.default !== undefined && full.default !== null && { fallback: full.default }),
  };
  if (Array.isArray(full.enum)) return choiceOf(base, full.enum);
  const type = full.type ?? typeOf(initial, full);
  if (initial !== undefined && initial !== null && !fits(initial, type)) return { ...base, kind: "json" };
  if (type === "object") {
    return initial !== null && depth < MAX_DEPTH ? groupOf(base, full, root, depth) : { ...base, kind: "json" };
  }
  if (type === "array") return listOf(base, full, root, depth);
  if (type === "boolean" && (!required || base.nullable)) return choiceOf(base, [true, false]);
  if (type === "string") return { ...base, kind: isLong(initial, full) ? "long" : "text" };
  return { ...base, kind: SCALARS.has(type) ? (type as Plain["kind"]) : "json" };
}

// A title that was only made from the name says no more than our label.
function labelFor(key: string, title: unknown): string {
  const label = labelOf(key);
  if (typeof title !== "string" || !title.trim() || title.toLowerCase() === label.toLowerCase()) return label;
  return clip(title, 120);
}

function groupOf(base: FieldBase, schema: Schema, root: Schema, depth: number): Field {
  const known: Schema = isObject(schema.properties) ? schema.properties : {};
  const values: JsonObject = isObject(base.initial) ? base.initial : {};
  const required = new Set<unknown>(Array.isArray(schema.required) ? schema.required : []);
  const own = (key: string) => (Object.hasOwn(values, key) ? values[key] : undefined);
  const others = Object.keys(values).filter((key) => !Object.hasOwn(known, key));
  if (depth && !Object.keys(known).length) return { ...base, kind: "json" };
  return {
    ...base,
    kind: "group",
    fields: [
      ...Object.keys(known).map((key) => fieldOf(key, known[key], own(key), required.has(key), root, depth + 1)),
      ...others.map((key) => fieldOf(key, {}, values[key], true, root, depth + 1)),
    ],
  };
}

function choiceOf(base: FieldBase, options: Json[]): Choice {
  const { initial, nullable } = base;
  const all = nullable ? options.filter((option) => option !== null) : options;
  if (initial === undefined || initial === null || all.some((option) => same(option, initial))) {
    return { ...base, kind: "choice", options: all };
  }
  return { ...base, kind: "choice", options: [initial, ...all] };
}

function listOf(base: FieldBase, schema: Schema, root: Schema, depth: number): Field {
  const item = fieldOf("", isObject(schema.items) ? schema.items : {}, undefined, true, root, depth + 1);
  const list = base.initial ?? [];
  const editable =
    ITEM_KINDS.has(item.kind) &&
    Array.isArray(list) &&
    list.length <= MAX_ITEMS &&
    list.every((value) => isScalar(value) && value !== null && fits(value, item.kind));
  if (!editable || base.initial === null || schema.prefixItems) return { ...base, kind: "json" };
  return { ...base, kind: "list", item: { ...item, description: "" } };
}

// The schema with references followed, and with one member of each union chosen by the value; `nullable` if it may be
// null.
function resolve(schema: unknown, root: Schema, value?: Json, left = MAX_REFERENCES): Schema {
  if (!isObject(schema) || left === 0) return {};
  const { $ref, allOf, anyOf, oneOf, ...rest } = schema as Schema;
  if (typeof $ref === "string") return { ...resolve(target($ref, root), root, value, left - 1), ...rest };
  if (Array.isArray(allOf) && allOf.length === 1) return { ...resolve(allOf[0], root, value, left - 1), ...rest };
  if (Object.hasOwn(rest, "const")) rest.enum = [rest.const];
  const union = anyOf ?? oneOf ?? (Array.isArray(rest.type) ? rest.type.map((type: unknown) => ({ type })) : null);
  if (!Array.isArray(union)) {
    return Array.isArray(rest.enum) && rest.enum.includes(null) ? { ...rest, nullable: true } : rest;
  }
  delete rest.type;
  const options = union.map((option) => resolve(option, root, value, left - 1));
  const members = options.filter((option) => option.type !== "null");
  const nullable = members.length < options.length || members.some((option) => option.nullable);
  if (members.length && members.every((option) => Array.isArray(option.enum))) {
    return { ...rest, nullable, enum: members.flatMap((option) => option.enum) };
  }
  const chosen =
    members.length === 1 ? members[0] : members.find((option) => isScalar(value ?? {}) && fits(value, option.type));
  return { ...(chosen ?? { type: "json" }), ...rest, nullable };
}

// The schema that a reference names.
function target(reference: string, root: Schema): unknown {
  if (!reference.startsWith("#/")) return {};
  const steps = reference
    .slice(2)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce<unknown>((at, step) => (isObject(at) && Object.hasOwn(at, step) ? at[step] : {}), root);
}

function typeOf(value: Json | undefined, schema: Schema): string {
  if (isObject(schema.properties)) return "object";
  if (value === undefined || value === null) return schema.items ? "array" : "json";
  return Array.isArray(value) ? "array" : typeof value;
}

function fits(value: unknown, type: unknown): boolean {
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

function isLong(value: Json | undefined, schema: Schema): boolean {
  const long = typeof value === "string" && (value.length > LONG || value.includes("\n"));
  return long || schema.maxLength > LONG_SCHEMA;
}

/** What is in a field before anything is typed. */
export function draftOf(field: Field, value: Json | undefined = field.initial): Draft {
  const present = value !== undefined && value !== null;
  switch (field.kind) {
    case "group":
      return Object.fromEntries(field.fields.map((inner) => [inner.key, draftOf(inner)]));
    case "list":
      return ((value ?? []) as Json[]).map((item, id) => ({ id, draft: draftOf(field.item, item) }));
    case "boolean":
      return value === true;
    case "choice":
      return present ? String(field.options.findIndex((option) => same(option, value))) : "";
    case "json":
      return value === undefined ? "" : formatJson(value);
    default:
      return present ? String(value) : "";
  }
}

/** The value that a draft stands for, and what is wrong with it. */
export function readDraft(field: Field, draft: Draft, path = ""): Result {
  const untouched = same(draft, draftOf(field)) && (field.initial !== undefined || !field.required);
  if (untouched) return { value: field.initial, errors: [] };
  const fail = (message: string): Result => ({ value: undefined, errors: [[path, message]] });
  switch (field.kind) {
    case "group":
      return groupValue(field, draft as GroupDraft, path);
    case "list":
      return listValue(field, draft as DraftItem[], path);
    case "boolean":
      return { value: draft as boolean, errors: [] };
    case "choice":
      if (draft !== "") return { value: field.options[Number(draft)], errors: [] };
      break;
    case "json":
      if ((draft as string).trim()) return jsonValue(draft as string, fail);
      break;
    case "integer":
    case "number":
      if ((draft as string).trim()) return numberValue(field, (draft as string).trim(), fail);
      break;
    default:
      if (draft || field.required) return { value: field.nullable && !draft ? null : (draft as string), errors: [] };
  }
  if (field.nullable && field.required) return { value: null, errors: [] };
  return field.required ? fail(strings().tools.required) : { value: undefined, errors: [] };
}

function jsonValue(text: string, fail: (message: string) => Result): Result {
  try {
    return { value: JSON.parse(text), errors: [] };
  } catch {
    return fail(strings().tools.notJson);
  }
}

function numberValue(field: Field, text: string, fail: (message: string) => Result): Result {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) return fail(strings().tools.notNumber);
  const value = Number(text);
  if (field.kind === "integer" && !Number.isInteger(value)) return fail(strings().tools.notWhole);
  const rounded = Number.isInteger(value) && !Number.isSafeInteger(value);
  if (!Number.isFinite(value) || rounded) return fail(strings().tools.tooLarge);
  return { value, errors: [] };
}

function listValue(field: List, draft: DraftItem[], path: string): Result {
  const item: Field = { ...field.item, initial: undefined };
  const results = draft.map((entry, i) => readDraft(item, entry.draft, `${path}/${i}`));
  return { value: results.map(({ value }) => value) as Json[], errors: results.flatMap(({ errors }) => errors) };
}

function groupValue(field: Group, draft: GroupDraft, path: string): Result {
  const value: JsonObject = {};
  const errors: [string, string][] = [];
  for (const inner of field.fields) {
    const result = readDraft(inner, draft[inner.key], `${path}/${inner.key}`);
    errors.push(...result.errors);
    if (result.value === undefined) continue;
    // Never by assignment: a field may be called __proto__.
    const property = { value: result.value, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(value, inner.key, property);
  }
  const empty = !Object.keys(value).length && !errors.length && !field.required && field.initial === undefined;
  return { value: empty ? undefined : value, errors };
}

/** Whether two JSON values are equal. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => same(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]));
}
