// The result of a tool, shown as what it is: text, JSON, a table, a picture, a plot.

import { lazy, type ReactNode, Suspense, useMemo, useState } from "react";
import { ErrorBoundary } from "../common/error-boundary";
import { useStrings } from "../common/strings";
import type { Json } from "../store/frames";
import { Fields, LongText, Value } from "./fields";
import { Table } from "./table";
import { formatSize, isObject, LARGE, type ResultView, resultView } from "./values";

// The chart library is larger than the rest of the page: it is loaded with the first plot.
const Plot = lazy(() => import("./plot"));

// Names in data are shown as they are.
const asIs = (name: string) => name;

export function Result({ result, tool }: { result: Json; tool: string }) {
  const view = useMemo(() => resultView(result), [result]);
  return (
    <div className="tool-result" data-view={view.kind}>
      <View view={view} tool={tool} />
    </div>
  );
}

function View({ view, tool }: { view: ResultView; tool: string }) {
  const t = useStrings().tools;
  switch (view.kind) {
    case "text":
      return <Folded size={view.text.length}>{() => <ResultText text={view.text} />}</Folded>;
    case "table":
      return <Table columns={view.columns} rows={view.rows} label={t.tableFrom(tool)} />;
    case "image":
      return <Picture source={view.source} name={view.name} tool={tool} />;
    case "plot":
      return (
        <ErrorBoundary text={view.title || t.plotBroken}>
          <Suspense fallback={<div className="plot loading" />}>
            <Plot view={view} />
          </Suspense>
        </ErrorBoundary>
      );
    case "json":
      return <Folded size={view.size}>{() => <JsonValue value={view.value} />}</Folded>;
  }
}

function JsonValue({ value }: { value: Json }) {
  if (isObject(value)) return <Fields fields={value} label={asIs} depth={1} />;
  return <Value value={value} label={asIs} depth={1} />;
}

function ResultText({ text }: { text: string }) {
  const t = useStrings().tools;
  if (!text) return <p className="tool-nothing">{t.empty}</p>;
  if (text.length <= LARGE) return <LongText text={text} />;
  return (
    <span className="long" dir="auto">
      {text}
    </span>
  );
}

interface FoldedProps {
  /** Characters of the content. */
  size: number;
  /** Characters up to which the content is shown at once. */
  limit?: number;
  /** What the button calls the content. */
  what?: "result" | "arguments";
  children: () => ReactNode;
}

/** Content that is shown on demand if it is large. */
export function Folded({ size, limit = LARGE, what = "result", children }: FoldedProps) {
  const t = useStrings().tools;
  const [open, setOpen] = useState(false);
  if (size <= limit) return children();
  const length = formatSize(size);
  const labels = {
    result: { show: t.showResult(length), hide: t.hideResult },
    arguments: { show: t.showArguments(length), hide: t.hideArguments },
  };
  return (
    <>
      <button type="button" className="quiet more" aria-expanded={open} onClick={() => setOpen(!open)}>
        {labels[what][open ? "hide" : "show"]}
      </button>
      {open && children()}
    </>
  );
}

function Picture({ source, name, tool }: { source: string; name: string; tool: string }) {
  const t = useStrings().tools;
  const [broken, setBroken] = useState(false);
  if (broken) return <p className="tool-nothing">{t.pictureBroken}</p>;
  return <img className="attached" src={source} alt={name || t.pictureFrom(tool)} onError={() => setBroken(true)} />;
}
