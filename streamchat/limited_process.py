"""Runs a program within limits: ``python limited_process.py PROGRAM CPU_SECONDS MEMORY_BYTES``.

Run by its path, so that nothing else of the package is imported: the limits hold before the program's first line, and
even if the process that started it is gone. Answers go first: it has a lower priority.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress


def main() -> None:
    """Set the limits, then run the program."""
    program, seconds, memory = sys.argv[1:]
    with suppress(ImportError, OSError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    with suppress(AttributeError, OSError):
        os.nice(5)
    sys.argv = [program]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
