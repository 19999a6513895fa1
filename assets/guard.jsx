// Where rendering fails, the text is shown as it is, and the rest of the page goes on.

import { Component } from "react";

export class Guard extends Component {
  state = { failed: null };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  static getDerivedStateFromProps({ text }, { failed, text: before }) {
    return text === before ? null : { text, failed: before === undefined ? failed : null };
  }

  render() {
    return this.state.failed ? <p className="plain">{this.props.text}</p> : this.props.children;
  }
}
