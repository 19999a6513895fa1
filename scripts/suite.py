"""Run all tests; run the few that failed once more, alone, and say at the end which passed only then.

What failed beside other tests and passes alone depends on time or order. It has a fault or has found one, so its first
failure is printed whole, and the last lines name it. With more than ``MAX_FAILURES`` nothing is run again.
"""

import json
import subprocess
import sys
from pathlib import Path

MAX_FAILURES = 8
TESTS_FAILED = 1
CACHE = Path(".pytest_cache") / "suite"


def main(arguments: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={CACHE}"]
    code = subprocess.call([*pytest, "--cache-clear", "-n", "auto", *arguments])
    failed = _failed()
    if code != TESTS_FAILED or not 0 < len(failed) <= MAX_FAILURES:
        return code
    print(f"\n{len(failed)} failed. Once more, alone:", flush=True)
    code = subprocess.call([*pytest, "--last-failed", *arguments])
    again = _failed()
    for name in failed:
        print(f"{'FAILED TWICE' if name in again else 'PASSED ONLY ALONE'} {name}")
    print(f"{len(failed)} tests needed a second try", flush=True)
    return code


def _failed() -> list[str]:
    file = CACHE / "v" / "cache" / "lastfailed"
    return sorted(json.loads(file.read_text())) if file.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
