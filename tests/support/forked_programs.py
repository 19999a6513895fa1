"""Programs in Python that start at once: copies of a process that has imported what they need.

To import MCP's SDK takes 1.2 s of CPU, ``streamchat ask`` 0.6 s, and each test of a child process starts one or two.

What is started is a small program in the place of the real one, with its arguments, environment, folder and streams:
it hands them over, forwards Ctrl-C, and ends as the copy does; the copy ends at once when the small program is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from tests import ROOT

_MAX_REQUEST = 1 << 20
_IN_ITS_PLACE = Path(__file__).with_name("in_its_place.py")


class ForkedPrograms:
    """``command(module, …)`` is what to start instead of ``python -m module …``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def command(self, module: str, *arguments: str) -> list[str]:
        """Return the words of a command. ``module``: also the path of a file."""
        # Without `site` and what the environment says it starts in 15 ms.
        return [sys.executable, "-I", "-S", str(_IN_ITS_PLACE), self._address, module, *arguments]


@contextmanager
def forked_programs(*modules: str) -> Iterator[ForkedPrograms]:
    """Import these once, and fork programs from there until the end."""
    with TemporaryDirectory() as folder:
        address = str(Path(folder) / "socket")
        program = [sys.executable, "-m", __name__, address, *modules]
        process = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield ForkedPrograms(address)
        finally:
            process.communicate()


def _serve(address: str, modules: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in modules:
        import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        while listener in select.select([listener, sys.stdin], [], [])[0]:  # stdin ends with the tests
            connection, _ = listener.accept()
            if os.fork() == 0:  # and once more, so that nobody has to wait for it
                listener.close()
                _hand_over(connection)
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _hand_over(connection: socket.socket) -> NoReturn:
    """Run the program in a child, and tell how it ended."""
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    size, told = int.from_bytes(length, "big"), b""
    while len(told) < size:
        told += connection.recv(min(size - len(told), _MAX_REQUEST))
    (module, *arguments), env, folder = json.loads(told)
    program = os.fork()
    if program == 0:
        connection.close()
        for target, source in enumerate(streams):
            os.dup2(source, target)
        for source in streams:
            os.close(source)
        _run(module, arguments, env, folder)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    threading.Thread(target=_watch, args=(connection, program), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _watch(connection: socket.socket, program: int) -> None:
    """Forward Ctrl-C; what is in the place of the program is gone: so is the program."""
    with contextlib.suppress(OSError):
        while connection.recv(1):
            os.kill(program, signal.SIGINT)
    with contextlib.suppress(OSError):
        os.kill(program, signal.SIGKILL)


def _run(module: str, arguments: Sequence[str], env: dict[str, str], folder: str) -> NoReturn:
    """Become the program."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        buffering = 1 if name == "stderr" or (mode == "w" and os.isatty(number)) else -1
        setattr(sys, name, os.fdopen(number, mode, buffering, encoding="utf-8", closefd=False))
    sys.argv = [module, *arguments]
    code = 0
    try:
        if module.endswith(".py"):
            runpy.run_path(module, run_name="__main__")
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
