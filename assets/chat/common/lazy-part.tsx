// A part of the page whose code is loaded when it is first shown. If it is not loaded, because the network is gone or the
// server has another version by now, the rest of the page is not affected.

import { Component, type ComponentType, lazy, type ReactNode } from "react";
import { useStrings } from "./strings";

interface Failing {
  /** Instead of what is shown in its place if it cannot be. */
  onFailed?: () => void;
}

class LoadFailure extends Error {
  constructor(cause: unknown) {
    super(String(cause), { cause }); // in the browser's console
  }
}

/**
 * As React's `lazy`, within a `Suspense`, but a part that is not loaded says so, and is loaded again when it is next
 * wanted. One that is there and breaks is left to the boundary around it.
 */
export function lazyPart<Props extends object>(load: () => Promise<{ default: ComponentType<Props> }>) {
  const attempt = () =>
    lazy<ComponentType<Props>>(() =>
      load().catch((cause) => {
        throw new LoadFailure(cause);
      }),
    );
  // A failed one fails for good.
  let Loaded = attempt();
  return class LazyPart extends Component<Props & Failing, { error: unknown }> {
    state = { error: null as unknown };

    static getDerivedStateFromError(error: unknown) {
      return { error };
    }

    componentDidCatch(error: unknown): void {
      if (!(error instanceof LoadFailure)) return;
      Loaded = attempt();
      this.props.onFailed?.();
    }

    render(): ReactNode {
      const { onFailed, ...props } = this.props;
      const { error } = this.state;
      if (error === null) return <Loaded {...(props as Props)} />;
      if (!(error instanceof LoadFailure)) throw error;
      return onFailed ? null : <NotLoaded onRetry={() => this.setState({ error: null })} />;
    }
  };
}

/** Says it, and offers to try again. */
export function NotLoaded({ onRetry }: { onRetry: () => void }) {
  const t = useStrings().common;
  return (
    <div className="not-loaded" role="alert">
      <p className="note">{t.notLoaded}</p>
      <button type="button" className="button" data-testid="load-again" onClick={onRetry}>
        {t.tryAgain}
      </button>
    </div>
  );
}
