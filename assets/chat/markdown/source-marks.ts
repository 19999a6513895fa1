// A remark plugin that shows the marks of sources: each as a number above the line. `blocks.tsx` makes it a link.

import type { PhrasingContent, Root, Text } from "mdast";
import { SOURCE_MARK } from "../common/source-marks";

interface Parent {
  children?: PhrasingContent[];
  value?: string;
  type: string;
}

export function showSourceMarks() {
  return (tree: Root): void => visit(tree as unknown as Parent);
}

function visit(node: Parent): void {
  if (!node.children) return;
  node.children = node.children.flatMap((child) => {
    if (child.type === "text") return split(child);
    // What reads as code stays code: its marks are left out.
    if (child.type === "inlineCode") child.value = child.value.replace(SOURCE_MARK, "");
    visit(child as unknown as Parent);
    return [child];
  });
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
