// A remark plugin that shows the marks of sources: each as a number above the line. `blocks.tsx` makes it a link.

import type { Nodes, PhrasingContent, Root, Text } from "mdast";
import { SOURCE_MARK, withoutMarks } from "../common/source-marks";

export function showSourceMarks() {
  return (tree: Root): void => visit(tree);
}

function visit(node: Nodes): void {
  if (!("children" in node)) return;
  const children = node.children as PhrasingContent[];
  (node.children as PhrasingContent[]) = children.flatMap((child) => {
    if (child.type === "text") return split(child);
    leaveOut(child);
    if (child.type !== "link" && child.type !== "linkReference") {
      visit(child);
      return [child];
    }
    // A mark is a link itself, and no link contains another: it stands behind.
    const marks = marksIn(child);
    return [child, ...marks];
  });
}

// What reads as code, or is an address, has no marks.
function leaveOut(node: Nodes): void {
  const fields: Partial<Record<"value" | "url" | "title" | "alt", string | null>> = node as object;
  for (const field of ["value", "url", "title", "alt"] as const) {
    const text = fields[field];
    if (text) fields[field] = withoutMarks(text);
  }
}

// Takes the marks out of a node.
function marksIn(node: Nodes): PhrasingContent[] {
  if (node.type === "text") {
    const marks = split(node).filter((_, index) => index % 2 === 1);
    node.value = withoutMarks(node.value);
    return marks;
  }
  return "children" in node ? node.children.flatMap(marksIn) : [];
}

function split(text: Text): PhrasingContent[] {
  // The pieces between the marks, and the numbers.
  const pieces = text.value.split(SOURCE_MARK);
  if (pieces.length === 1) return [text];
  return pieces.map((piece, index) => {
    if (index % 2 === 0) return { type: "text", value: piece };
    return { type: "emphasis", children: [{ type: "text", value: `[${piece}]` }], data: { hName: "sup" } };
  });
}
