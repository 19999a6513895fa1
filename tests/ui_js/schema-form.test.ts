import { expect, test } from "bun:test";
import type { Json } from "../../assets/chat/store/frames";
import { draftOf, formOf, type Group, type GroupDraft, readDraft, same } from "../../assets/chat/tools/schema-form";
import type { JsonObject } from "../../assets/chat/tools/values";

const schema = {
  type: "object",
  properties: {
    city: { type: "string", title: "City", description: "Where" },
    days: { type: "integer" },
    factor: { type: "number" },
    fine: { type: "boolean" },
    unit: { enum: ["metric", "imperial"] },
    note: { anyOf: [{ type: "string" }, { type: "null" }] },
    limit: { anyOf: [{ type: "integer" }, { type: "null" }] },
    tags: { type: "array", items: { type: "string" } },
    place: { $ref: "#/$defs/Place" },
    anything: {},
  },
  required: ["city", "days"],
  $defs: {
    Place: { type: "object", properties: { lat: { type: "number" }, name: { type: "string" } }, required: ["lat"] },
  },
};
const args = { city: "Lima", days: 3, tags: ["a", "b"], place: { lat: 1.5 }, anything: { deep: [1, { x: null }] } };

const kinds = (form: Group) => Object.fromEntries(form.fields.map((field) => [field.key, field.kind]));
const draft = (form: Group) => draftOf(form) as GroupDraft;
const edit = (form: Group, change: GroupDraft) => {
  const { value, errors } = readDraft(form, { ...draft(form), ...change });
  return { value: value as JsonObject, errors };
};

test("each kind of schema has its kind of field", () => {
  expect(kinds(formOf(schema, args))).toEqual({
    city: "text",
    days: "integer",
    factor: "number",
    fine: "choice",
    unit: "choice",
    note: "text",
    limit: "integer",
    tags: "list",
    place: "group",
    anything: "json",
  });
  const [city] = formOf(schema, args).fields;
  expect([city.label, city.description, city.required]).toEqual(["City", "Where", true]);
  expect(formOf(schema, { ...args, city: "two\nlines" }).fields[0].kind).toBe("long");
  expect(formOf({ properties: { sure: { type: "boolean" } }, required: ["sure"] }, { sure: true }).fields[0].kind).toBe(
    "boolean",
  );
});

test("what nobody touched comes out as it came in", () => {
  const form = formOf(schema, args);
  expect(readDraft(form, draftOf(form))).toEqual({ value: args, errors: [] });
  expect(readDraft(form, draftOf(form)).value).toBe(args);
});

test("an edited field changes, the others do not", () => {
  const form = formOf(schema, args);
  expect(edit(form, { days: "7" })).toEqual({ value: { ...args, days: 7 }, errors: [] });
  expect(edit(form, { place: { lat: "2", name: "" } }).value.place).toEqual({ lat: 2 });
  expect(
    edit(form, {
      tags: [
        { id: 0, draft: "a" },
        { id: 2, draft: "new" },
      ],
    }).value.tags,
  ).toEqual(["a", "new"]);
  expect(edit(form, { anything: "[1]" }).value.anything).toEqual([1]);
  expect(edit(form, { fine: "1" }).value.fine).toBe(false);
  expect(edit(form, { unit: "1" }).value.unit).toBe("imperial");
});

test("an optional field that is emptied is left out; one that may be null and is needed is null", () => {
  const form = formOf(schema, { ...args, factor: 2, note: "x" });
  const { value } = edit(form, { factor: "", note: "", tags: [] });
  expect(["factor" in value, "note" in value, value.tags]).toEqual([false, false, []]);
  const strict = formOf({ properties: { n: { type: ["integer", "null"] } }, required: ["n"] }, { n: 1 });
  expect(edit(strict, { n: "" }).value).toEqual({ n: null });
});

test("what does not fit is said at its field", () => {
  const form = formOf(schema, args);
  const wrong = (change: GroupDraft) => edit(form, change).errors;
  expect(wrong({ days: "3.5" })).toEqual([["/days", "This is not a whole number."]]);
  expect(wrong({ days: "many" })).toEqual([["/days", "This is not a number."]]);
  expect(wrong({ days: " " })).toEqual([["/days", "This field is required."]]);
  expect(wrong({ days: "12345678901234567890" })).toEqual([["/days", "This number is too large."]]);
  expect(wrong({ anything: "{" })).toEqual([["/anything", "This is not valid JSON."]]);
  expect(wrong({ place: { lat: "", name: "" } })).toEqual([["/place/lat", "This field is required."]]);
});

test("a number that the browser would round stays to the letter", () => {
  const form = formOf(
    { properties: { id: { type: "integer" }, n: { type: "integer" } } },
    { id: "12345678901234567890", n: 1 },
  );
  expect(form.fields[0].kind).toBe("integer");
  expect(edit(form, { n: "2" })).toEqual({ value: { id: "12345678901234567890", n: 2 }, errors: [] });
});

test("without a schema the form is made from the arguments", () => {
  expect(kinds(formOf(undefined, { a: "x", b: 1, c: true, d: [1, 2], e: { f: 1 }, g: null }))).toEqual({
    a: "text",
    b: "number",
    c: "boolean",
    d: "json",
    e: "json",
    g: "json",
  });
});

test("no schema breaks it, and arguments survive all of them", () => {
  const loop = { $ref: "#/$defs/A" };
  const nested = { type: "object", properties: { again: loop, x: { type: "string" } } };
  const schemas: unknown[] = [
    null,
    [],
    "x",
    7,
    {},
    { properties: null },
    { properties: { a: null } },
    { properties: { a: true } },
    { required: "a" },
    { properties: { a: { $ref: "#/nowhere" } } },
    { properties: { a: { $ref: "http://evil.example/" } } },
    { properties: { a: { $ref: "#/properties/a" } } },
    { properties: { a: loop }, $defs: { A: nested } },
    { properties: { a: { anyOf: [] } } },
    { properties: { a: { anyOf: [{ type: "integer" }, { type: "array" }] } } },
    { properties: { a: { enum: [] } } },
    { properties: { a: { enum: [null, 1] } } },
    { properties: { a: { type: [] } } },
    { properties: { a: { type: "object", properties: { b: {} } } } },
    { properties: { a: { type: "array", prefixItems: [{}] } } },
    { properties: { a: { type: "no such type" } } },
    { properties: { a: { const: 3 } } },
    { $defs: null, properties: { a: loop } },
  ];
  const values: Json[] = ["x", 1, true, null, [1, "a"], { b: [{}] }, "12345678901234567890"];
  for (const one of schemas) {
    for (const a of values) {
      const args = JSON.parse(`{"a": ${JSON.stringify(a)}, "__proto__": 1}`);
      const form = formOf(one, args);
      const made = readDraft(form, draftOf(form));
      expect(made.errors).toEqual([]);
      expect(same(made.value, args)).toBe(true);
    }
    const empty = formOf(one, {});
    readDraft(empty, draftOf(empty));
  }
});

test("a field that is called like something of the language is a field", () => {
  const given = JSON.parse('{"__proto__": "a", "constructor": "b"}');
  const form = formOf({}, given);
  const { value } = readDraft(form, { ...draft(form), ["__proto__"]: "c" });
  expect(JSON.stringify(value)).toBe('{"__proto__":"c","constructor":"b"}');
});
