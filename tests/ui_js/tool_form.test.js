import { expect, test } from "bun:test";

import { draftOf, formOf, same, valueOf } from "../../assets/tool-form.js";

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
  $defs: { Place: { type: "object", properties: { lat: { type: "number" }, name: { type: "string" } }, required: ["lat"] } },
};
const args = { city: "Lima", days: 3, tags: ["a", "b"], place: { lat: 1.5 }, anything: { deep: [1, { x: null }] } };

const kinds = (form) => Object.fromEntries(form.fields.map((field) => [field.key, field.kind]));
const edit = (form, change) => valueOf(form, { ...draftOf(form), ...change });

test("each kind of schema has its kind of field", () => {
  expect(kinds(formOf(schema, args))).toEqual({
    city: "text", days: "integer", factor: "number", fine: "choice", unit: "choice", note: "text", limit: "integer",
    tags: "list", place: "group", anything: "json",
  });
  const [city] = formOf(schema, args).fields;
  expect([city.label, city.description, city.required]).toEqual(["City", "Where", true]);
  expect(formOf(schema, { ...args, city: "two\nlines" }).fields[0].kind).toBe("long");
  expect(formOf({ properties: { sure: { type: "boolean" } }, required: ["sure"] }, { sure: true }).fields[0].kind).toBe("boolean");
});

test("what nobody touched comes out as it came in", () => {
  const form = formOf(schema, args);
  expect(valueOf(form, draftOf(form))).toEqual({ value: args, errors: [] });
  expect(valueOf(form, draftOf(form)).value).toBe(args);
});

test("an edited field changes, the others do not", () => {
  const form = formOf(schema, args);
  expect(edit(form, { days: "7" })).toEqual({ value: { ...args, days: 7 }, errors: [] });
  expect(edit(form, { place: { lat: "2", name: "" } }).value.place).toEqual({ lat: 2 });
  expect(edit(form, { tags: [{ id: 0, draft: "a" }, { id: 2, draft: "new" }] }).value.tags).toEqual(["a", "new"]);
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
  const wrong = (change) => edit(form, change).errors;
  expect(wrong({ days: "3.5" })).toEqual([["/days", "This is not a whole number."]]);
  expect(wrong({ days: "many" })).toEqual([["/days", "This is not a number."]]);
  expect(wrong({ days: " " })).toEqual([["/days", "This is needed."]]);
  expect(wrong({ days: "12345678901234567890" })).toEqual([["/days", "This number is too large."]]);
  expect(wrong({ anything: "{" })).toEqual([["/anything", "This is not valid JSON."]]);
  expect(wrong({ place: { lat: "", name: "" } })).toEqual([["/place/lat", "This is needed."]]);
});

test("a number that the browser would round stays to the letter", () => {
  const form = formOf({ properties: { id: { type: "integer" }, n: { type: "integer" } } }, { id: "12345678901234567890", n: 1 });
  expect(form.fields[0].kind).toBe("integer");
  expect(edit(form, { n: "2" })).toEqual({ value: { id: "12345678901234567890", n: 2 }, errors: [] });
});

test("without a schema the form is made from the arguments", () => {
  expect(kinds(formOf(undefined, { a: "x", b: 1, c: true, d: [1, 2], e: { f: 1 }, g: null }))).toEqual({
    a: "text", b: "number", c: "boolean", d: "json", e: "json", g: "json",
  });
});

test("no schema breaks it, and arguments survive all of them", () => {
  const loop = { $ref: "#/$defs/A" };
  const nested = { type: "object", properties: { again: loop, x: { type: "string" } } };
  const schemas = [
    null, [], "x", 7, {}, { properties: null }, { properties: { a: null } }, { properties: { a: true } }, { required: "a" },
    { properties: { a: { $ref: "#/nowhere" } } }, { properties: { a: { $ref: "http://evil.example/" } } },
    { properties: { a: { $ref: "#/properties/a" } } }, { properties: { a: loop }, $defs: { A: nested } },
    { properties: { a: { anyOf: [] } } }, { properties: { a: { anyOf: [{ type: "integer" }, { type: "array" }] } } },
    { properties: { a: { enum: [] } } }, { properties: { a: { enum: [null, 1] } } }, { properties: { a: { type: [] } } },
    { properties: { a: { type: "object", properties: { b: {} } } } }, { properties: { a: { type: "array", prefixItems: [{}] } } },
    { properties: { a: { type: "no such type" } } }, { properties: { a: { const: 3 } } }, { $defs: null, properties: { a: loop } },
  ];
  const values = ["x", 1, true, null, [1, "a"], { b: [{}] }, "12345678901234567890"];
  for (const one of schemas) {
    for (const a of values) {
      const form = formOf(one, { a, __proto__: null, ["__proto__"]: 1 });
      const made = valueOf(form, draftOf(form));
      expect(made.errors).toEqual([]);
      expect(same(made.value, { a, ["__proto__"]: 1 })).toBe(true);
    }
    const empty = formOf(one, {});
    valueOf(empty, draftOf(empty));
  }
});

test("a field that is called like something of the language is a field", () => {
  const given = JSON.parse('{"__proto__": "a", "constructor": "b"}');
  const form = formOf({}, given);
  const draft = draftOf(form);
  const { value } = valueOf(form, { ...draft, ["__proto__"]: "c" });
  expect(JSON.stringify(value)).toBe('{"__proto__":"c","constructor":"b"}');
});
