"""The page's own protocol: small frames over Reflex's socket."""
