"""The log of a run, read over HTTP and WebSocket. ``app`` puts it together; docs/http.md is the reference."""
