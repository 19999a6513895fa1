// What a tool gave back, shown as what it is: text, JSON, a table, a picture, a plot.

import { lazy, Suspense, useMemo, useState } from "react";

import { Guard } from "./guard.jsx";
import { Fields, Long, Value } from "./tool-fields.jsx";
import { Table } from "./tool-table.jsx";
import { isObject, LARGE, resultView, sizeWords } from "./tool-views.js";

// The chart library is larger than the rest of the page: it comes with the first plot.
const Plot = lazy(() => import("./tool-plot.jsx"));
const asIs = (name) => name;

export function Result({ result, tool }) {
  const view = useMemo(() => resultView(result), [result]);
  return (
    <div className="tool-result" data-view={view.kind}>
      <Shown view={view} tool={tool} />
    </div>
  );
}

function Shown({ view, tool }) {
  switch (view.kind) {
    case "text":
      return <Folded size={view.text.length}>{() => <Text text={view.text} />}</Folded>;
    case "table":
      return <Table columns={view.columns} rows={view.rows} label={`Table from ${tool}`} />;
    case "image":
      return <Picture source={view.source} name={view.name} tool={tool} />;
    case "plot":
      return (
        <Guard text={view.title || "This plot cannot be shown."}>
          <Suspense fallback={<div className="plot loading" />}>
            <Plot view={view} />
          </Suspense>
        </Guard>
      );
    default:
      return <Folded size={view.size}>{() => <Json value={view.value} />}</Folded>;
  }
}

// Names in data are shown as they are.
function Json({ value }) {
  if (isObject(value)) return <Fields fields={value} label={asIs} depth={1} />;
  return <Value value={value} label={asIs} depth={1} />;
}

function Text({ text }) {
  if (!text) return <p className="tool-nothing">empty</p>;
  if (text.length <= LARGE) return <Long text={text} />;
  return (
    <span className="long" dir="auto">
      {text}
    </span>
  );
}

// What is large is named, and shown when it is asked for.
export function Folded({ size, limit = LARGE, what = "result", children }) {
  const [open, setOpen] = useState(false);
  if (size <= limit) return children();
  return (
    <>
      <button type="button" className="quiet more" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? `Hide ${what}` : `Show ${what} (${sizeWords(size)})`}
      </button>
      {open && children()}
    </>
  );
}

function Picture({ source, name, tool }) {
  const [broken, setBroken] = useState(false);
  if (broken) return <p className="tool-nothing">This picture cannot be shown.</p>;
  return <img className="attached" src={source} alt={name || `Picture from ${tool}`} onError={() => setBroken(true)} />;
}
