// A button that opens a list of actions.

import "./menu.css";

import { Ellipsis, type LucideIcon } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useDismiss } from "./dismiss";

export interface Item {
  label: string;
  icon: LucideIcon;
  action?: () => void;
  /** Instead of an action: a file to download. */
  href?: string;
  testId?: string;
  danger?: boolean;
  disabled?: boolean;
}

interface Props {
  label: string;
  testId?: string;
  /** Called when the menu is opened. */
  items: () => Item[];
}

export function Menu({ label, testId, items }: Props) {
  const [shown, setShown] = useState<Item[] | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const close = () => setShown(null);
  useDismiss(shown !== null, frame, button, close);
  useEffect(() => {
    if (!shown || !list.current || !button.current) return;
    place(list.current, button.current);
    list.current.querySelector<HTMLElement>("[role=menuitem]")?.focus({ preventScroll: true });
    const moved = () => {
      if (list.current?.contains(document.activeElement)) button.current?.focus({ preventScroll: true });
      setShown(null);
    };
    // The list does not follow its button. What scrolls elsewhere, as the transcript does under an answer, moves neither.
    const scrolled = ({ target }: Event) => {
      if ((target as Node).contains(button.current)) moved();
    };
    addEventListener("scroll", scrolled, { capture: true, passive: true });
    addEventListener("resize", moved, { passive: true });
    return () => {
      removeEventListener("scroll", scrolled, { capture: true });
      removeEventListener("resize", moved);
    };
  }, [shown]);
  const choose = (item: Item) => {
    button.current?.focus({ preventScroll: true });
    close();
    item.action?.();
  };
  return (
    <div className="menu" ref={frame}>
      <button
        type="button"
        className="quiet menu-button"
        data-testid={testId}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={shown !== null}
        onClick={() => setShown(shown ? null : items())}
        ref={button}
      >
        <Ellipsis size={16} />
      </button>
      {shown && (
        <div
          className="menu-list"
          popover="manual"
          role="menu"
          tabIndex={-1}
          aria-label={label}
          ref={list}
          onKeyDown={move}
        >
          {shown.map((item) => (
            <MenuItem key={item.label} item={item} choose={choose} />
          ))}
        </div>
      )}
    </div>
  );
}

function MenuItem({ item, choose }: { item: Item; choose: (item: Item) => void }) {
  const { label, icon: Icon, href, testId, danger, disabled } = item;
  const shared = {
    role: "menuitem",
    tabIndex: -1,
    className: danger ? "menu-item danger" : "menu-item",
    "data-testid": testId,
    onClick: () => choose(item),
  };
  const content = (
    <>
      <Icon size={16} />
      {label}
    </>
  );
  if (href) {
    return (
      <a {...shared} href={href} download>
        {content}
      </a>
    );
  }
  return (
    <button type="button" {...shared} disabled={disabled}>
      {content}
    </button>
  );
}

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

function move(event: KeyboardEvent<HTMLElement>): void {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=menuitem]:not(:disabled)")];
  const index = items.indexOf(document.activeElement as HTMLElement);
  items[(index + step + items.length) % items.length]?.focus();
}

const GAP = 4; // px

// In the browser's top layer, because what scrolls or is contained would clip it. Above the button if there is no room.
function place(list: HTMLElement, button: HTMLElement): void {
  list.showPopover?.();
  const anchor = button.getBoundingClientRect();
  const { width, height } = list.getBoundingClientRect();
  const below = anchor.bottom + GAP + height <= window.innerHeight;
  const left = Math.max(GAP, Math.min(anchor.right - width, window.innerWidth - width - GAP));
  const top = below ? anchor.bottom + GAP : Math.max(GAP, anchor.top - GAP - height);
  Object.assign(list.style, { left: `${left}px`, top: `${top}px` });
}
