// Notes in the page what is painted when. Loaded before the page's own scripts; knows only its test ids.
//
// A change of the DOM (or of the composer) flips the height of a sentinel; its ResizeObserver is called in the
// frame that paints the change, after the page's own animation callbacks and layout. So a page that writes in a
// message handler and one that writes in an animation frame are timed by the same clock edge.
(() => {
  const TAIL = 96;
  const bench = (window.bench = { paints: [], keys: [], presented: [], long: [], before: null });
  const messages = () => document.querySelectorAll('[data-testid="message"][data-role="assistant"]');
  // Looked up again only if elements came: in a long thread that costs more than the page's own work.
  let newest = null;
  const last = () => (newest?.isConnected ? newest : (newest = [...messages()].at(-1)));
  bench.status = () => last()?.dataset.messageId === bench.before ? null : last()?.dataset.status;
  bench.text = () => last()?.querySelector('[data-testid="answer"]')?.textContent ?? "";

  let dirty = false, flip = false, pressed = null, sentinel = null, seen = "";
  const painted = () => {
    if (!dirty) return;
    dirty = false;
    const now = performance.now();
    if (pressed !== null) {
      bench.keys.push(now - pressed);
      pressed = null;
    }
    if (last()?.dataset.messageId === bench.before) return;
    const text = bench.text();
    const entry = [performance.timeOrigin + now, text.length, text.slice(-TAIL)];
    if (text && seen !== (seen = entry[1] + entry[2])) bench.paints.push(entry);
  };
  const changed = (records) => {
    if (Array.isArray(records) && records.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeType === 1))) newest = null;
    if (!dirty) {
      dirty = true;
      flip = !flip;
      sentinel.style.height = flip ? "2px" : "1px";
    }
  };
  bench.restart = () => {
    bench.before = last()?.dataset.messageId ?? "";
    bench.paints = [];
    seen = "";
  };
  bench.startup = () => {
    bench.restart();
    if (sentinel) return;
    sentinel = document.createElement("div");
    sentinel.style = "position:fixed;inset:0 auto auto 0;width:1px;height:1px;contain:strict;visibility:hidden";
    document.body.append(sentinel);
    new ResizeObserver(painted).observe(sentinel);
    new MutationObserver(changed).observe(document.body, { subtree: true, childList: true, characterData: true });
    const observe = (options, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe(options);
    observe({ type: "longtask" }, ({ duration }) => bench.long.push(duration));
    // The browser's own measure of a key: until its frame was on the screen, in steps of 8 ms, nothing below 16.
    observe({ type: "event", durationThreshold: 16 }, ({ name, duration }) => name === "keydown" && bench.presented.push(duration));
    addEventListener("keydown", (event) => (pressed ??= event.timeStamp), true);
    addEventListener("input", changed, true);
  };
})();
