"""The log of a process, on stderr: lines for people, or JSON for a pipeline, each with the run that it is about.

Knows no settings. Rules:

* A line has ids and kinds of errors, never the text of a message or a secret: neither format shows local variables.
* What is logged inside the task of a run names the run, whoever logs it: an SDK, a library or a tool.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any, Literal

_run: ContextVar[str] = ContextVar("run", default="")
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s%(about)s"


def note_run(run_id: str) -> None:
    """Let everything that this task logs from now on name the run, and the tasks and threads that it starts."""
    _run.set(run_id)


def set_up_logging(form: Literal["text", "json"]) -> None:
    """Log warnings and errors of all libraries to stderr. ``json`` needs the extra ``otel``."""
    handler = logging.StreamHandler()
    handler.addFilter(_name_run)
    handler.setFormatter(_json_formatter() if form == "json" else logging.Formatter(LINE))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _name_run(record: logging.LogRecord) -> bool:
    run = _run.get()
    record.__dict__ |= {"run": run, "about": f" (run {run})" if run and run not in record.getMessage() else ""}
    return True


def _json_formatter() -> logging.Formatter:
    import structlog  # only if it is asked for

    def about(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        run = event["_record"].run
        return event | {"run": run} if run else event

    shared: list[Any] = [
        about,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last = structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
    )
