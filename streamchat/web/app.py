"""Assembles the API: a FastAPI app for our paths beside Reflex, and the access check around both.

Requests for the page never pass through FastAPI.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from streamchat.web import (
    account_routes,
    admin_routes,
    audit_routes,
    conversation_events,
    conversation_routes,
    error_responses,
    file_routes,
    frames,
    health,
    key_routes,
    latency_routes,
    look,
    message_routes,
    personal_routes,
    preset_routes,
    recording_routes,
    run_routes,
    sign_in,
    simple_stream,
    status,
    webhook_routes,
    websocket,
)
from streamchat.web.access import Access, Policy
from streamchat.web.body_limit import Bodies
from streamchat.web.compat import (
    ag_ui_routes,
    ai_sdk_routes,
    base_url,
    conversations_routes,
    model_routes,
    responses_routes,
    vendor_routes,
)
from streamchat.web.gate import MODULES, Gate
from streamchat.web.page_caching import with_caching
from streamchat.web.page_socket import PageSocket
from streamchat.web.proxies import Proxies, ProxyRules
from streamchat.web.read_limits import ReadLimits, ResponseCache
from streamchat.web.request_metrics import RequestMetrics
from streamchat.web.security_headers import SecurityHeaders
from streamchat.web.sign_in import account_page, admin_page, passkey_routes, provider_routes
from streamchat.web.startup_errors import StartupErrors
from streamchat.wiring import ServiceHolder

# Their order is that in which a path is looked for.
ROUTERS = (
    run_routes,
    recording_routes,
    websocket,
    conversation_routes,
    conversation_events,
    message_routes,
    latency_routes,
    file_routes,
    frames,
    preset_routes,
    key_routes,
    webhook_routes,
    simple_stream,
    health,
    status,
    model_routes,
    vendor_routes,
    responses_routes,
    conversations_routes,
    base_url,
    ai_sdk_routes,
    ag_ui_routes,
    account_routes,
    personal_routes,
    audit_routes,
    account_page,
    admin_routes,
    admin_page,
    passkey_routes,
    provider_routes,
    sign_in,
    look,
)
TREES = ("/api", "/v1", "/ag-ui")
PATHS = frozenset(
    {*simple_stream.PATHS, *base_url.PATHS, *health.PATHS, *status.PATHS, *sign_in.PATHS, "/account", "/admin"}
)


def is_api(path: str) -> bool:
    """Return whether the API serves this path; all others belong to the page."""
    return (
        path in PATHS
        or path.startswith((sign_in.TREE, look.TREE))
        or any(path == tree or path.startswith(tree + "/") for tree in TREES)
    )


def build_api(holder: ServiceHolder) -> FastAPI:
    """Return the app with all endpoints. They work only while the services of ``holder`` are open."""
    app = FastAPI(
        title="streamchat",
        summary="One log per answer, read from any number on.",
        version="1",
        openapi_url="/api/openapi.json",
        # FastAPI's documentation pages load scripts from other servers.
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        # As they are: `include_router` would make each anew for each app, with its first request, 0.15 s for all.
        routes=[route for module in ROUTERS for route in module.router.routes],
    )
    app.state.holder = holder
    app.add_middleware(Bodies, holder=holder)
    app.add_middleware(RequestMetrics, holder=holder)
    app.state.read_limits, app.state.responses = ReadLimits(), ResponseCache()
    error_responses.install(app)
    return app


def mount(page: ASGIApp, holder: ServiceHolder) -> ASGIApp:
    """Return an app that sends each request to the API or to the page, by its path."""
    api = build_api(holder)
    files = with_caching(page)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] in ("http", "websocket") and is_api(scope["path"])
        await (api if ours else files)(scope, receive, send)

    return app


def guard(app: ASGIApp, holder: ServiceHolder, page: Path | None = None) -> ASGIApp:
    """Wrap the app in the gate, the access check, the security headers and the rules of proxies, from inside out.

    ``page``: the folder of the built page. The settings are read with the first request: before it they are not loaded.
    """

    @cache
    def policy() -> Policy:
        settings = holder.services.settings
        return Policy.of(
            settings.origins,
            settings.cors_origins,
            settings.public_url,
            plain_starts=settings.http_get_starts,
            address=settings.host,
        )

    @cache
    def proxies() -> ProxyRules:
        settings = holder.services.settings
        return ProxyRules.of(settings.trusted_proxies, settings.trusted_user_header, settings.public_path)

    limited = PageSocket(Gate(app, holder, is_api, simple_stream.PATHS), holder, is_api)
    checked = Access(limited, policy, is_api, simple_stream.PATHS, MODULES)
    return StartupErrors(Proxies(SecurityHeaders(checked, page), proxies))
