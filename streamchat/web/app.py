"""Puts the API together: a FastAPI app for our paths beside Reflex, and the access check around both.

``mount`` is what ``rx.App(api_transformer=…)`` takes. Requests for the page never pass through FastAPI.
"""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from streamchat.web import conversations, health, plain, problems, runs, socket, status
from streamchat.web.access import Access, Policy
from streamchat.web.bodies import Bodies
from streamchat.web.streaming import end_all
from streamchat.web.vendors import ai_sdk, responses_again
from streamchat.web.vendors import models as vendor_models
from streamchat.web.vendors import routes as vendor_routes
from streamchat.wiring import services

TREES = ("/api", "/v1")
PATHS = frozenset({*plain.PATHS, *health.PATHS, *status.PATHS})


def is_api(path: str) -> bool:
    """Whether this path is answered here, and not by the page."""
    return path in PATHS or any(path == tree or path.startswith(tree + "/") for tree in TREES)


def build_api() -> FastAPI:
    """All endpoints. They answer only while ``wiring.services()`` are there."""
    app = FastAPI(
        title="streamchat",
        summary="One log per answer, read from any number on.",
        version="1",
        openapi_url="/api/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.add_middleware(Bodies)
    problems.install(app)
    for module in (
        runs,
        socket,
        conversations,
        plain,
        health,
        status,
        vendor_models,
        vendor_routes,
        responses_again,
        ai_sdk,
    ):
        app.include_router(module.router)
    return app


def mount(page: ASGIApp) -> ASGIApp:
    """The API beside the page."""
    api = build_api()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] in ("http", "websocket") and is_api(scope["path"])
        await (api if ours else page)(scope, receive, send)

    return app


def guard(app: ASGIApp) -> Access:
    """The access check, around everything. The settings are read with the first request, when they are there."""

    @cache
    def policy() -> Policy:
        settings = services().settings
        return Policy.of(settings.origins, settings.cors_origins, settings.public_url)

    return Access(app, policy, is_api, plain.PATHS)


async def wind_down() -> None:
    """Before the server ends: its runs end first, so that every reader sees an ending, and then the streams."""
    try:
        runs = services().runs
    except RuntimeError:  # it ends before it was ready
        return
    await runs.close()
    await end_all()
