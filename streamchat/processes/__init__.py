"""Subprocesses that serve HTTP on loopback: started on first use, stopped with the process that owns them."""
