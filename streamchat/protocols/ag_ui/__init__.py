"""AG-UI, the protocol between agents and front ends: a request in, a stream of its events out."""
