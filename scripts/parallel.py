"""Run commands at the same time: `scripts/parallel.py COMMAND…`, each one an argument for the shell.

The last one writes to the terminal as it goes; the output of the others comes in whole when they end, if they fail or
said anything. The exit code is 1 if one of them failed.
"""

import subprocess
import sys
import threading
import time


def main(commands: list[str]) -> int:
    begin = time.monotonic()
    failures: list[str] = []

    def wait(command: str, process: subprocess.Popen[str]) -> None:
        output = process.communicate()[0] or ""
        if process.returncode:
            failures.append(command)
        if output.strip() or process is not processes[-1]:
            verdict = "failed" if process.returncode else "passed"
            print(f"{output}{command}: {verdict} after {time.monotonic() - begin:.0f} s", flush=True)

    processes = [subprocess.Popen(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                 for command in commands[:-1]]  # fmt: skip
    processes.append(subprocess.Popen(commands[-1], shell=True, text=True))
    waiting = [threading.Thread(target=wait, args=pair) for pair in zip(commands, processes, strict=True)]
    for thread in waiting:
        thread.start()
    try:
        for thread in waiting:
            thread.join()
    except KeyboardInterrupt:  # they got it too, as they belong to the same terminal
        for thread in waiting:
            thread.join()
        return 130
    if failures:
        print(f"Failed: {', '.join(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
