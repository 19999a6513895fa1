/** The element of a message in the transcript. (A search result has its id too.) */
export function elementOf(messageId: string): Element | null {
  return document.querySelector(`.message[data-message-id="${CSS.escape(messageId)}"]`);
}
