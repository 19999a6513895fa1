"""The words by which programs tell errors apart: one list, and every table keeps to it."""

from __future__ import annotations

from typing import get_args

from streamchat import errors
from streamchat.errors import ErrorKind, StreamchatError
from streamchat.protocols import http_status, vendor_errors
from streamchat.providers import provider_errors

KINDS = set(get_args(ErrorKind))


def subclasses(of: type[StreamchatError]) -> set[type[StreamchatError]]:
    return {of, *(deep for direct in of.__subclasses__() for deep in subclasses(direct))}


def test_every_error_has_a_kind_of_the_list():
    """The default kind of each class, also of those outside of ``errors``."""
    assert {cls.kind for cls in subclasses(errors.StreamchatError) if cls.__module__.startswith("streamchat")} <= KINDS


def test_every_table_keeps_to_the_list():
    """Statuses, sentences and vendors' codes are looked up by kinds that exist."""
    for table in (http_status.KINDS, vendor_errors.STATUSES, vendor_errors._OPENAI_CODES, provider_errors.KINDS):
        assert set(table) <= KINDS


def test_what_asks_to_try_again_says_when():
    """By its status, which clients repeat, and ``Retry-After``."""
    for error in (StreamchatError("Please try again.", kind="busy"), errors.ProviderError("Full.", kind="busy")):
        status = http_status.status_of(error)
        assert (status, http_status.retry_header(error, status)) == (503, {"Retry-After": "2"})
