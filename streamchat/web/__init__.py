"""The HTTP, WebSocket and gRPC edges. ``app`` assembles them; docs/http.md is the reference."""
