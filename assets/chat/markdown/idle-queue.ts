// Work that would hold up the page: one piece at a time, each while the page is idle.

/** Returns a function that does its work when the work before it is done. */
export function createQueue(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

/** Until the page is idle, or so many milliseconds have gone by. */
export function idle(timeout: number): Promise<unknown> {
  return new Promise((resolve) => {
    // Safari has no idle callbacks.
    if ("requestIdleCallback" in globalThis) requestIdleCallback(resolve, { timeout });
    else setTimeout(resolve, Math.min(50, timeout));
  });
}
