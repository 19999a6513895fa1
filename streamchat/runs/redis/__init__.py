"""The log, the notifications and Stop of several workers, over one Redis."""
