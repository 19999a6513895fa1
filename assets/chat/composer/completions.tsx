// The list of presets behind "@", and of prompts behind "/", in the message box.
//
// Rule: while nothing of it is being written, typing renders nothing.

import "./completions.css";

import { type KeyboardEvent, type ReactNode, type RefObject, useId, useLayoutEffect, useState } from "react";
import { useChat } from "../chat";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";
import { loadPresets, matching, type Preset, placeholderFrom, type Query, queryAt, useApplyPreset } from "./presets";

interface Completions {
  /** Called with every input. */
  look: () => void;
  close: () => void;
  /** Returns whether the key was for the list. */
  keyDown: (event: KeyboardEvent<HTMLTextAreaElement>) => boolean;
  list: ReactNode;
}

export function useCompletions(area: RefObject<HTMLTextAreaElement | null>, onChange: () => void): Completions {
  const t = useStrings().composer;
  const chat = useChat();
  const presets = useShared(chat.presets);
  const [query, setQuery] = useState<Query | null>(null);
  const [active, setActive] = useState(0);
  const [filling, setFilling] = useState(false);
  const { apply, dialog } = useApplyPreset();
  const listId = useId();
  const items = query ? matching(presets, query) : [];
  const shown = items.length > 0;
  const close = () => setQuery(null);
  // The focus stays in the box, and the options are read out. It may not have `aria-expanded`, as it is no combobox.
  useLayoutEffect(() => {
    const box = area.current;
    if (!box || !shown) return;
    const option = `${listId}${active}`;
    const attributes = { "aria-controls": listId, "aria-activedescendant": option };
    for (const [name, value] of Object.entries(attributes)) box.setAttribute(name, value);
    document.getElementById(option)?.scrollIntoView({ block: "nearest" });
    return () => {
      for (const name of Object.keys(attributes)) box.removeAttribute(name);
    };
  }, [area, shown, listId, active]);
  const look = () => {
    const box = area.current;
    const next = box && queryAt(box.value, box.selectionStart);
    if (next && !query) loadPresets(chat).catch(() => undefined);
    setQuery(next || null);
    if (next) setActive(0);
  };
  const select = (range: [number, number] | null) => {
    setFilling(!!range);
    if (range) area.current?.setSelectionRange(...range);
  };
  const choose = (item: Preset) => {
    const box = area.current;
    if (!box || !query) return;
    const text = item.kind === "prompt" ? item.text : "";
    box.setRangeText(text, query.from, query.to, "end");
    box.focus();
    onChange();
    close();
    if (item.kind === "preset") apply(item);
    else select(placeholderFrom(box.value, query.from));
  };
  // Returns whether the key was for the list.
  const moveIn = (key: string): boolean => {
    if (key === "ArrowDown") setActive((active + 1) % items.length);
    else if (key === "ArrowUp") setActive((active + items.length - 1) % items.length);
    else if (key === "Enter" || key === "Tab") choose(items[active] ?? items[0]);
    else if (key === "Escape") close();
    else return false;
    return true;
  };
  const nextPlaceholder = (box: HTMLTextAreaElement): boolean => {
    const range = placeholderFrom(box.value, box.selectionEnd);
    select(range);
    return range !== null;
  };
  const keyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const { key, shiftKey, currentTarget } = event;
    if (event.nativeEvent.isComposing || shiftKey) return false;
    const taken = items.length ? moveIn(key) : key === "Tab" && filling && nextPlaceholder(currentTarget);
    if (taken) event.preventDefault();
    return taken;
  };
  const list = (
    <>
      {shown && (
        <div
          className="completions"
          role="listbox"
          id={listId}
          aria-label={query?.kind === "preset" ? t.presets : t.prompts}
          data-testid="completions"
        >
          {items.map((item, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the message box has the focus, and its keys
            // biome-ignore lint/a11y/useFocusableInteractive: likewise
            <div
              key={item.id}
              id={`${listId}${index}`}
              role="option"
              aria-selected={index === active}
              className="completion"
              data-testid="completion"
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => choose(item)}
            >
              <b dir="auto">{item.name}</b>
              <span dir="auto">
                {item.kind === "prompt" ? item.text : [item.model, item.system].filter(Boolean).join(" · ")}
              </span>
            </div>
          ))}
        </div>
      )}
      {dialog}
    </>
  );
  return { look, close, keyDown, list };
}
