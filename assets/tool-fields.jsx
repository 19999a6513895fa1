// Values of JSON as a person reads them: labelled fields, lists, tables, text. Everything is shown as text, nothing is followed.

import { useId, useState } from "react";

import { Table } from "./tool-table.jsx";
import { beginning, clip, isObject, isScalar, labelOf, rowsOf, sizeWords, written } from "./tool-views.js";

const DEEP = 5;
const MANY = 50;
const CHIPS = 60; // characters of an item that may stand beside others

// The fields of an object. `label` makes a name readable.
export function Fields({ fields, label = labelOf, depth = 0 }) {
  const names = Object.keys(fields);
  const [shown, more] = useMany(names);
  if (!names.length) return <p className="tool-nothing">{depth ? "empty" : "No arguments"}</p>;
  return (
    <>
      <dl className="fields">
        {shown.map((name) => (
          <div key={name}>
            <dt>
              <bdi>{label(name)}</bdi>
            </dt>
            <dd>
              <Value value={fields[name]} label={label} depth={depth + 1} />
            </dd>
          </div>
        ))}
      </dl>
      {more}
    </>
  );
}

export function Value({ value, label, depth = 0 }) {
  if (typeof value === "string") return value ? <Long text={value} /> : <Nothing word="empty" />;
  if (value === null) return <Nothing word="none" />;
  if (isScalar(value)) return <span className="scalar">{String(value)}</span>;
  if (depth > DEEP) return <Long text={written(value)} code />;
  if (isObject(value)) return <Fields fields={value} label={label} depth={depth} />;
  return value.length ? <Items items={value} label={label} depth={depth} /> : <Nothing word="empty" />;
}

function Items({ items, label, depth }) {
  const rows = rowsOf(items);
  const [shown, more] = useMany(items);
  if (rows) return <Table columns={rows.columns.map((name) => clip(name, 120))} rows={rows.rows} />;
  const chips = items.map(chipOf);
  const short = chips.every((chip) => chip !== null);
  return (
    <>
      <ol className={short ? "chips" : "items"}>
        {shown.map((item, i) => (
          <li key={i}>{short && chips[i] ? <bdi>{chips[i]}</bdi> : <Value value={item} label={label} depth={depth + 1} />}</li>
        ))}
      </ol>
      {more}
    </>
  );
}

// What may stand beside others, as a pair of coordinates may; "" where there is nothing to say, null where it is too much.
function chipOf(item) {
  const plain = Array.isArray(item) && item.length <= 4 && item.every((part) => typeof part === "number") ? item.join(", ") : item;
  return isScalar(plain) && String(plain).length <= CHIPS ? String(plain ?? "") : null;
}

function Nothing({ word }) {
  return <span className="tool-nothing">{word}</span>;
}

// A long text shows its beginning, and on demand the rest.
export function Long({ text, code = false, characters = 1200, lines = 14 }) {
  const id = useId();
  const [all, setAll] = useState(false);
  const start = beginning(text, characters, lines);
  const cut = start.length < text.length;
  return (
    <>
      <span className={code ? "long code-text" : "long"} dir={code ? "ltr" : "auto"} id={id}>
        {cut && !all ? `${start}…` : text}
      </span>
      {cut && (
        <button type="button" className="quiet more" aria-expanded={all} aria-controls={id} onClick={() => setAll(!all)}>
          {all ? "Show less" : `Show all (${sizeWords(text.length)})`}
        </button>
      )}
    </>
  );
}

// The first of many, and the button that shows the others.
function useMany(list) {
  const [all, setAll] = useState(false);
  if (list.length <= MANY) return [list, null];
  const button = (
    <button type="button" className="quiet more" aria-expanded={all} onClick={() => setAll(!all)}>
      {all ? "Show fewer" : `Show all ${list.length.toLocaleString("en")}`}
    </button>
  );
  return [all ? list : list.slice(0, MANY), button];
}
