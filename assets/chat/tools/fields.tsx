// JSON values as a person reads them: labelled fields, lists, tables, text. All of it is text; nothing can be followed.

import { type ReactNode, useId, useState } from "react";
import { useStrings } from "../common/strings";
import type { Json } from "../store/frames";
import { Table } from "./table";
import {
  beginning,
  clip,
  formatJson,
  formatSize,
  isObject,
  isScalar,
  type JsonObject,
  labelOf,
  tableOf,
} from "./values";

const MAX_DEPTH = 5;
const MANY = 50; // items from which on only the first are shown
const CHIP = 60; // characters of an item that may stand beside others

type LabelOf = (name: string) => string;

interface FieldsProps {
  fields: JsonObject;
  /** Makes a name readable. */
  label?: LabelOf;
  depth?: number;
}

/** The fields of an object. */
export function Fields({ fields, label = labelOf, depth = 0 }: FieldsProps) {
  const t = useStrings().tools;
  const names = Object.keys(fields);
  const [shown, more] = useMany(names);
  if (!names.length) return <p className="tool-nothing">{depth ? t.empty : t.noArguments}</p>;
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

interface ValueProps {
  value: Json;
  label?: LabelOf;
  depth?: number;
}

export function Value({ value, label, depth = 0 }: ValueProps) {
  if (typeof value === "string") return value ? <LongText text={value} /> : <Nothing word="empty" />;
  if (value === null) return <Nothing word="none" />;
  if (isScalar(value)) return <span className="scalar">{String(value)}</span>;
  if (depth > MAX_DEPTH) return <LongText text={formatJson(value)} code />;
  if (isObject(value)) return <Fields fields={value} label={label} depth={depth} />;
  return value.length ? <Items items={value} label={label} depth={depth} /> : <Nothing word="empty" />;
}

function Items({ items, label, depth }: { items: Json[]; label?: LabelOf; depth: number }) {
  const table = tableOf(items);
  const [shown, more] = useMany(items);
  if (table) return <Table columns={table.columns.map((name) => clip(name, 120))} rows={table.rows} />;
  const chips = items.map(chipOf);
  const short = chips.every((chip) => chip !== null);
  return (
    <>
      <ol className={short ? "chips" : "items"}>
        {shown.map((item, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: items have no other identity
          <li key={i}>
            {short && chips[i] ? <bdi>{chips[i]}</bdi> : <Value value={item} label={label} depth={depth + 1} />}
          </li>
        ))}
      </ol>
      {more}
    </>
  );
}

// An item that may stand beside others, as a pair of coordinates may; "" if it is empty, null if it is too long.
function chipOf(item: Json): string | null {
  const coordinates = Array.isArray(item) && item.length <= 4 && item.every((part) => typeof part === "number");
  const plain = coordinates ? item.join(", ") : item;
  return isScalar(plain) && String(plain).length <= CHIP ? String(plain ?? "") : null;
}

function Nothing({ word }: { word: "empty" | "none" }) {
  const t = useStrings().tools;
  return <span className="tool-nothing">{t[word]}</span>;
}

interface LongTextProps {
  text: string;
  code?: boolean;
  /** Characters and lines that are shown at first. */
  characters?: number;
  lines?: number;
}

/** A text of which the rest is shown on demand. */
export function LongText({ text, code = false, characters = 1200, lines = 14 }: LongTextProps) {
  const t = useStrings().tools;
  const id = useId();
  const [expanded, setExpanded] = useState(false);
  const start = beginning(text, characters, lines);
  const cut = start.length < text.length;
  return (
    <>
      <span className={code ? "long code-text" : "long"} dir={code ? "ltr" : "auto"} id={id}>
        {cut && !expanded ? `${start}…` : text}
      </span>
      {cut && (
        <button
          type="button"
          className="quiet more"
          aria-expanded={expanded}
          aria-controls={id}
          onClick={() => setExpanded(!expanded)}
        >
          {expanded ? t.showLess : t.showAllSize(formatSize(text.length))}
        </button>
      )}
    </>
  );
}

// The first of many, and the button that shows the others.
function useMany<Item>(list: Item[]): [Item[], ReactNode] {
  const { tools: t, common } = useStrings();
  const [expanded, setExpanded] = useState(false);
  if (list.length <= MANY) return [list, null];
  const button = (
    <button type="button" className="quiet more" aria-expanded={expanded} onClick={() => setExpanded(!expanded)}>
      {expanded ? t.showFewer : t.showAllOf(common.number(list.length))}
    </button>
  );
  return [expanded ? list : list.slice(0, MANY), button];
}
