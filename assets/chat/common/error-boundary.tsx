// Shows a text as it is if its rendering fails; the rest of the page is not affected.

import { Component, type ReactNode } from "react";

interface Props {
  /** Shown instead of the children; a new text is tried again. */
  text: string;
  children: ReactNode;
}

interface State {
  failed: boolean;
  text?: string;
}

export class ErrorBoundary extends Component<Props, State> {
  state: State = { failed: false };

  static getDerivedStateFromError(): Partial<State> {
    return { failed: true };
  }

  static getDerivedStateFromProps({ text }: Props, { failed, text: before }: State): State | null {
    return text === before ? null : { text, failed: before === undefined && failed };
  }

  render(): ReactNode {
    return this.state.failed ? <p className="plain">{this.props.text}</p> : this.props.children;
  }
}
