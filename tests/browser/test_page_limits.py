"""Limits of the page: what goes beyond them is said beside the composer, and nothing was started."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from devservers.app import Served
from tests.support.raw import RawTab

SHORT = "n=3 rate=0 kind=numbered"


def test_events_beyond_the_limit_are_refused(serve: Callable[..., Served]) -> None:
    """Per minute and address: the question after the last allowed event is refused with its own id, and not stored."""
    server = serve(STREAMCHAT_MODELS="simulator:tour", STREAMCHAT_EVENTS_PER_CLIENT="1")
    with RawTab(server.url) as tab:
        tab.frame("open")
        tab.send(SHORT, "simulator:tour")
        assert tab.frame("sent")
        refused = tab.send(SHORT, "simulator:tour")
        told = tab.frame("say")
        assert (told["client_id"], "a minute" in told["text"]) == (refused, True)


def test_answers_beyond_the_limit_are_refused(serve: Callable[..., Served]) -> None:
    """At the same time and per owner, whichever tab asks; the page opens and shows what there is."""
    server = serve(STREAMCHAT_MODELS="simulator:tour", STREAMCHAT_RUNS_PER_OWNER="1")
    with RawTab(server.url) as first, RawTab(server.url) as second:
        first.frame("open")
        first.send("rate=1 n=1000 kind=numbered", "simulator:tour")
        assert first.frame("sent")
        second.frame("open")
        second.send(SHORT, "simulator:tour")
        assert "Too many answers" in second.frame("say")["text"]


def test_a_process_has_so_many_connections(serve: Callable[..., Served]) -> None:
    """Beyond them a request gets 503 at once; those that send nothing are closed, and make room."""
    server = serve(STREAMCHAT_CONNECTIONS="4", STREAMCHAT_REQUEST_TIMEOUT="2")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/healthz", timeout=30)
    refused.value.close()
    assert refused.value.code == 503
    for connection in silent:
        connection.settimeout(30)
        assert connection.recv(1) == b""
        connection.close()
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=30) as answer:
        assert answer.status == 200
