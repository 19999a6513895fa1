"""Set-up: exactly what is locked is installed, and what goes wrong is one sentence."""
