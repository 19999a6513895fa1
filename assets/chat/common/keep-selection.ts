// A change of the page that keeps what is selected in it.
//
// A browser drops the selection in a text node whose text is replaced, and React replaces the whole text of a paragraph
// that grows, and the elements of code that is coloured. So both ends of the selection are remembered as places in the
// text of their block.

const BLOCK = ".block";

interface End {
  block: Element;
  /** Characters from the beginning of the block. */
  offset: number;
}

/** Makes the change at once. */
export function keepSelection(change: () => void): void {
  const selection = getSelection();
  if (!selection || selection.isCollapsed) return change();
  const anchor = endOf(selection.anchorNode, selection.anchorOffset);
  const focus = endOf(selection.focusNode, selection.focusOffset);
  change();
  const [from, to] = [anchor, focus].map((end) => (end ? pointOf(end) : null));
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  const [a, aOffset] = from ?? [anchorNode, anchorOffset];
  const [b, bOffset] = to ?? [focusNode, focusOffset];
  const kept = a === anchorNode && aOffset === anchorOffset && b === focusNode && bOffset === focusOffset;
  if (!kept && a?.isConnected && b?.isConnected) selection.setBaseAndExtent(a, aOffset, b, bOffset);
}

// `null` if it is not in a block: then nothing replaces it.
function endOf(node: Node | null, offset: number): End | null {
  const element = node instanceof Element ? node : node?.parentElement;
  const block = element?.closest(BLOCK);
  if (!node || !block) return null;
  const before = document.createRange();
  before.setStart(block, 0);
  before.setEnd(node, offset);
  return { block, offset: before.toString().length };
}

function pointOf({ block, offset }: End): [Node, number] | null {
  const texts = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  let left = offset;
  let last: Node | null = null;
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const { length } = text.nodeValue ?? "";
    if (left <= length) return [text, left];
    left -= length;
    last = text;
  }
  return last && [last, last.nodeValue?.length ?? 0];
}
