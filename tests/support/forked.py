"""The processes of tests are forked from the one that hands out the tests, after it has imported all of them.

To import the tests and what they use is two thirds of collecting: 7 s of CPU in each process, which are spent once.

Knows xdist's way to its processes (execnet's pipes), and no test. Rules: no thread runs when it forks; what cannot be
imported is left to the processes, which say why; a process that takes the place of one that crashed is started anew.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest
from execnet import gateway_base, gateway_io

from tests import ROOT


@dataclass
class _Pipes:
    """Both ends of what a process reads and writes. The first two are its own."""

    its_input: int
    its_output: int
    to_it: int
    from_it: int

    @classmethod
    def new(cls) -> _Pipes:
        its_input, to_it = os.pipe()
        from_it, its_output = os.pipe()
        return cls(its_input, its_output, to_it, from_it)


class _Forked(gateway_io.Popen2IOMaster):
    """What execnet has of a process that it started."""

    def __init__(self, pid: int, pipes: _Pipes, execmodel: Any) -> None:
        self._pid = pid
        gateway_base.Popen2IO.__init__(self, os.fdopen(pipes.to_it, "wb"), os.fdopen(pipes.from_it, "rb"), execmodel)

    def wait(self) -> int | None:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        except ChildProcessError:
            return None

    def kill(self) -> None:
        try:
            os.kill(self._pid, 9)
        except ProcessLookupError:
            pass


def fork_processes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Fork a process for each of xdist's ``specs``, which it then takes instead of starting one."""
    if not all(spec.popen and not spec.python for spec in specs):
        return
    _import_tests(config)
    everything = [_Pipes.new() for _ in specs]
    forked = [(_fork(pipes, everything), pipes) for pipes in everything]
    for pipes in everything:
        os.close(pipes.its_input)
        os.close(pipes.its_output)
    start = gateway_io.create_io

    def create_io(spec: Any, execmodel: Any) -> gateway_io.Popen2IOMaster:
        return _Forked(*forked.pop(0), execmodel) if forked else start(spec, execmodel)

    gateway_io.create_io = create_io


def _import_tests(config: pytest.Config) -> None:
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as the tests are configured: what warns is left to the processes
        for file in _files(config.args):
            try:
                import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
            except (Exception, pytest.skip.Exception):
                continue
    gc.freeze()
    gc.enable()


def _files(arguments: Sequence[str]) -> Iterator[Path]:
    """The modules that pytest will import, in about its order."""
    for argument in arguments:
        path = (ROOT / argument.partition("::")[0]).resolve()
        if not path.is_relative_to(ROOT / "tests"):
            continue
        found = [path] if path.is_file() else [*path.rglob("conftest.py"), *path.rglob("test_*.py")]
        yield from sorted(found, key=lambda file: (file.parent, file.name != "conftest.py", file.name))


def _fork(pipes: _Pipes, everything: Sequence[_Pipes]) -> int:
    assert threading.active_count() == 1
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(pipes, everything)
    return pid


def _become(pipes: _Pipes, everything: Sequence[_Pipes]) -> NoReturn:
    """Be what ``python -c`` with execnet's first line is."""
    code = 1
    try:
        os.dup2(pipes.its_input, 0)
        os.dup2(pipes.its_output, 1)
        # An open end of another one's pipe would hide from it that this side is gone.
        for other in everything:
            for end in (other.its_input, other.its_output, other.to_it, other.from_it):
                os.close(end)
        sys.stdin, sys.stdout = (os.fdopen(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w")))
        exec(gateway_io.popen_bootstrapline, {"__name__": "__main__"})
        code = 0
    finally:
        # What the interpreter does at its end, without the way back through the pytest of which this was a copy.
        threading._shutdown()  # pyrefly: ignore[missing-attribute]
        atexit._run_exitfuncs()
        os._exit(code)
