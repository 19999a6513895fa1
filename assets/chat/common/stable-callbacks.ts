// Callbacks that keep their identity while what they call changes with every render.

import { useEffect, useRef, useState } from "react";

// biome-ignore lint/suspicious/noExplicitAny: any callback
type Callbacks = Record<string, (...args: any[]) => void>;

/** The same object in every render; each of its functions calls the one given last. */
export function useStableCallbacks<C extends Callbacks>(callbacks: C): C {
  const latest = useRef(callbacks);
  useEffect(() => {
    latest.current = callbacks;
  });
  const [stable] = useState(() => {
    const names = Object.keys(callbacks) as (keyof C)[];
    return Object.fromEntries(
      names.map((name) => [name, (...args: unknown[]) => latest.current[name]?.(...args)]),
    ) as C;
  });
  return stable;
}
