"""Authentication: accounts, sessions, API keys, invitations, passkeys and providers of identities.

Knows the store of accounts, and nothing of HTTP, gRPC or Reflex: the edges hand over what was shown to them.
"""
