// A part of the page whose code is loaded when it is first shown. If it is not loaded, because the network is gone or the
// server has another version by now, the rest of the page is not affected.

import { Component, type ComponentType, lazy, type ReactNode } from "react";
import { useStrings } from "./strings";

interface Failing {
  /** Instead of what is shown in its place if it cannot be. */
  onFailed?: () => void;
}

/** As React's `lazy`, within a `Suspense`, but what fails is shown as that, and loaded again when it is next wanted. */
export function lazyPart<Props extends object>(load: () => Promise<{ default: ComponentType<Props> }>) {
  let failure: unknown;
  const attempt = () =>
    lazy<ComponentType<Props>>(() =>
      load().catch((error) => {
        failure = error;
        throw error;
      }),
    );
  // A failed one fails for good.
  let Loaded = attempt();
  return class LazyPart extends Component<Props & Failing, { failed: boolean }> {
    state = { failed: false };

    static getDerivedStateFromError() {
      return { failed: true };
    }

    componentDidCatch(error: unknown): void {
      if (error === failure) Loaded = attempt();
      this.props.onFailed?.();
    }

    render(): ReactNode {
      const { onFailed, ...props } = this.props;
      if (!this.state.failed) return <Loaded {...(props as Props)} />;
      return onFailed ? null : <NotLoaded onRetry={() => this.setState({ failed: false })} />;
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
