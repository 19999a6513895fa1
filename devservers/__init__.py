"""Real servers as child processes, on free ports and gone at the end: for tests, benchmarks and ``make cluster``."""
