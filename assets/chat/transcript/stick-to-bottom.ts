// Keeps the newest text in view, unless the reader looks elsewhere.
//
// Knows nothing of React. Rules:
//
// * One scroll, wheel, touch or key up releases the view at once; from then on the position is never touched.
// * It sticks again when the reader returns to the end, asks for it, or sends a message.
// * While the pointer is held down nothing moves, also if the text gets shorter for a moment, as it does when a mark at its
//   end turns out to be something else. Text of the conversation that is selected releases the view.
// * To zoom, by a wheel or two fingers, is no scroll.
// * An approval that is asked for is shown from its top.
// * While it sticks, every change of size, of whatever part, is answered within the same frame.

const AT_END_PX = 8;
const INTENT_MS = 500;
const ABOVE_PX = 16; // shown above an approval
const UP_KEYS: ReadonlySet<string> = new Set(["ArrowUp", "PageUp", "Home"]);
const DOWN_KEYS: ReadonlySet<string> = new Set(["ArrowDown", "PageDown"]);

export class StickToBottom {
  /** There is no conversation yet: its page begins at the top. */
  empty = true;
  private stuck = true;
  private readonly listeners = new Set<() => void>();
  private scroller: HTMLElement | null = null;
  private content: HTMLElement | null = null;
  private top = 0;
  private distance = 0;
  private downUntil = 0;
  private touchY = 0;
  private held = false;
  private approvals: HTMLCollectionOf<Element> | null = null;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  isStuck = (): boolean => this.stuck;

  /** Watches `scroller`, whose only child is `content`; returns how to stop. */
  attach(scroller: HTMLElement, content: HTMLElement): () => void {
    this.scroller = scroller;
    this.content = content;
    this.approvals = scroller.getElementsByClassName("approval");
    this.top = scroller.scrollTop;
    const sizes = new ResizeObserver(() => this.resized());
    sizes.observe(scroller);
    sizes.observe(content);
    const listening = new AbortController();
    const passive = { passive: true, signal: listening.signal };
    scroller.addEventListener("scroll", () => this.scrolled(), passive);
    scroller.addEventListener("wheel", (event) => event.ctrlKey || this.moved(event.deltaY), passive);
    scroller.addEventListener("touchstart", (event) => this.touched(event.touches, false), passive);
    scroller.addEventListener("touchmove", (event) => this.touched(event.touches, true), passive);
    document.addEventListener("keydown", (event) => this.pressed(event), passive);
    scroller.addEventListener("pointerdown", (event) => this.hold(event), passive);
    for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, () => this.letGo(), passive);
    document.addEventListener("selectionchange", () => this.isSelected() && this.set(false), passive);
    this.resized();
    return () => {
      sizes.disconnect();
      listening.abort();
      this.scroller = null;
    };
  }

  /** Goes to the end and stays there. */
  stick = (): void => {
    this.set(true);
    this.toEnd();
  };

  /** Stays at this position. */
  release = (): void => this.set(false);

  private resized(): void {
    if (this.stuck && !this.held) this.toEnd();
    else this.distance = this.distanceToEnd();
  }

  private distanceToEnd(): number {
    if (!this.scroller) return 0;
    const { scrollHeight, clientHeight, scrollTop } = this.scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  private toEnd(): void {
    const { scroller } = this;
    if (!scroller || this.empty) return;
    scroller.scrollTop = scroller.scrollHeight;
    const asked = this.approvals?.[0]?.closest("details");
    if (asked) {
      const above = scroller.getBoundingClientRect().top + ABOVE_PX - asked.getBoundingClientRect().top;
      if (above > 0) scroller.scrollTop -= above;
    }
    this.top = scroller.scrollTop;
    this.distance = 0;
  }

  private scrolled(): void {
    const top = this.scroller?.scrollTop ?? 0;
    const distance = this.distanceToEnd();
    // At the very end it was the content that shrank, not the reader who moved.
    if (top < this.top - 1 && distance > 1) this.set(false);
    else if (top > this.top && distance <= AT_END_PX) {
      // The browser moves the position too if something above grew: then the distance to the end stays the same.
      if (this.distance > AT_END_PX || performance.now() < this.downUntil) this.set(true);
    }
    this.top = top;
    this.distance = distance;
  }

  // The reader means to go up (less than 0) or down.
  private moved(direction: number): void {
    if (direction < 0 && this.scroller && this.scroller.scrollTop > 0) this.set(false);
    if (direction > 0) this.downUntil = performance.now() + INTENT_MS;
  }

  private hold({ pointerType, button }: PointerEvent): void {
    if (pointerType !== "mouse" || button !== 0) return;
    this.held = true;
    // At the end of what is shorter the browser would move the view.
    if (this.content) this.content.style.minHeight = getComputedStyle(this.content).height;
  }

  private letGo(): void {
    if (!this.held) return;
    this.held = false;
    if (this.content) this.content.style.minHeight = "";
    if (this.isSelected()) this.set(false);
    else this.resized();
  }

  private isSelected(): boolean {
    const selection = getSelection();
    return !!selection && !selection.isCollapsed && !!this.scroller?.contains(selection.anchorNode);
  }

  private touched(touches: TouchList, moving: boolean): void {
    if (touches.length > 1) return;
    const y = touches[0].clientY;
    if (moving) this.moved(this.touchY - y);
    this.touchY = y;
  }

  private pressed(event: KeyboardEvent): void {
    const inField = event.target instanceof Element && /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName);
    if (event.defaultPrevented || inField) return;
    if (UP_KEYS.has(event.key) || (event.key === " " && event.shiftKey)) this.moved(-1);
    else if (event.key === "End") this.stick();
    else if (DOWN_KEYS.has(event.key) || event.key === " ") this.moved(1);
  }

  private set(stuck: boolean): void {
    if (stuck === this.stuck) return;
    this.stuck = stuck;
    for (const listener of this.listeners) listener();
  }
}
