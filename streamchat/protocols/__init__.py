"""One folder per protocol that clients speak: ``request`` reads what they send, ``stream`` writes an answer. No I/O."""
