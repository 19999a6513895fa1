"""The chat page: Reflex states and components. The only package that knows Reflex."""
