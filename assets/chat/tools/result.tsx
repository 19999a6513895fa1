// The result of a tool, shown as what it is: text, JSON, a table, a picture, a plot, or several of these.

import { type ReactNode, Suspense, useMemo, useState } from "react";
import { lazyPart } from "../common/lazy-part";
import { useStrings } from "../common/strings";
import type { ImagePart, Json } from "../store/frames";
import { Attachment } from "../transcript/attachment";
import { Fields, LongText, Value } from "./fields";
import { Table } from "./table";
import { formatSize, isObject, LARGE, type ResultView, resultView } from "./values";

// The chart library is larger than the rest of the page: it is loaded with the first plot.
const Plot = lazyPart(() => import("./plot"));

// Names in data are shown as they are.
const asIs = (name: string) => name;

export function Result({ result, tool }: { result: Json; tool: string }) {
  const view = useMemo(() => resultView(result), [result]);
  const items = view.kind === "content" ? view.items : [view];
  return items.map((item, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: items have no other identity
    <div key={i} className="tool-result" data-view={item.kind}>
      <View view={item} tool={tool} />
    </div>
  ));
}

function View({ view, tool }: { view: ResultView; tool: string }) {
  const t = useStrings().tools;
  switch (view.kind) {
    case "text":
      return <Folded size={view.text.length}>{() => <ResultText text={view.text} />}</Folded>;
    case "table":
      return <Table columns={view.columns} rows={view.rows} label={t.tableFrom(tool)} />;
    case "image":
      return <Picture picture={{ ...view.picture, name: view.picture.name || t.pictureFrom(tool) }} />;
    case "content":
      return null; // an item is none
    case "plot":
      return (
        <Suspense fallback={<div className="plot loading" />}>
          <Plot view={view} />
        </Suspense>
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

function Picture({ picture }: { picture: ImagePart }) {
  const t = useStrings().tools;
  const [broken, setBroken] = useState(false);
  if (picture.file_id) return <Attachment part={picture} />;
  if (broken) return <p className="tool-nothing">{t.pictureBroken}</p>;
  const source = `data:${picture.media_type};base64,${picture.data}`;
  return <img className="attached" src={source} alt={picture.name} onError={() => setBroken(true)} />;
}
