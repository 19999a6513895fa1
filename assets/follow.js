// Keeps the newest text in view, unless the reader looks elsewhere.
//
// Knows nothing of React. Rules:
//
// * One scroll, wheel, touch or key up ends following at once; from then on the position is never touched.
// * Following comes back when the reader returns to the end, asks for it, or sends a message.
// * While following, every change of size, of whatever part, is answered within the same frame.

const AT_END = 8;
const INTENT_MS = 500;
const UP = new Set(["ArrowUp", "PageUp", "Home"]);
const DOWN = new Set(["ArrowDown", "PageDown"]);

export class Follow {
  following = true;
  empty = true; // there is no conversation to follow yet
  _listeners = new Set();
  _downUntil = 0;
  _left = 0;
  _touchY = 0;

  subscribe = (listener) => {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  };

  isFollowing = () => this.following;

  attach(scroller, content) {
    this._scroller = scroller;
    this._top = scroller.scrollTop;
    const watch = new ResizeObserver(() => this._resized());
    watch.observe(scroller);
    watch.observe(content);
    const passive = { passive: true };
    const listening = [
      [scroller, "scroll", () => this._scrolled()],
      [scroller, "wheel", (event) => this._meant(event.deltaY)],
      [scroller, "touchstart", (event) => (this._touchY = event.touches[0].clientY)],
      [scroller, "touchmove", (event) => this._touched(event.touches[0].clientY)],
      [document, "keydown", (event) => this._pressed(event)],
    ];
    for (const [target, name, listener] of listening) target.addEventListener(name, listener, passive);
    this._resized();
    return () => {
      watch.disconnect();
      for (const [target, name, listener] of listening) target.removeEventListener(name, listener);
      this._scroller = null;
    };
  }

  // Go to the end and stay there.
  arm = () => {
    this._set(true);
    this._toEnd();
  };

  // Stay here.
  leave = () => this._set(false);

  _resized() {
    if (this.following) this._toEnd();
    else this._left = this._distance();
  }

  _distance() {
    const { scrollHeight, clientHeight, scrollTop } = this._scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  _toEnd() {
    const scroller = this._scroller;
    if (!scroller || this.empty) return;
    scroller.scrollTop = scroller.scrollHeight;
    this._top = scroller.scrollTop;
    this._left = 0;
  }

  _scrolled() {
    const top = this._scroller.scrollTop;
    const left = this._distance();
    // At the very end it was the content that shrank, not the reader who moved.
    if (top < this._top - 1 && left > 1) this._set(false);
    // The browser moves the position too, where something above grew: the distance to the end stays then.
    else if (top > this._top && left <= AT_END && (this._left > AT_END || performance.now() < this._downUntil)) this._set(true);
    this._top = top;
    this._left = left;
  }

  // The reader meant to go up (less than 0) or down.
  _meant(direction) {
    if (direction < 0 && this._scroller.scrollTop > 0) this._set(false);
    if (direction > 0) this._downUntil = performance.now() + INTENT_MS;
  }

  _touched(y) {
    this._meant(this._touchY - y);
    this._touchY = y;
  }

  _pressed(event) {
    if (event.defaultPrevented || /^(TEXTAREA|INPUT|SELECT)$/.test(event.target.tagName)) return;
    if (UP.has(event.key) || (event.key === " " && event.shiftKey)) this._meant(-1);
    else if (event.key === "End") this.arm();
    else if (DOWN.has(event.key) || event.key === " ") this._meant(1);
  }

  _set(following) {
    if (following === this.following) return;
    this.following = following;
    for (const listener of this._listeners) listener();
  }
}
