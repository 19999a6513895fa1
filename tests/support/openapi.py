"""The description of our HTTP API, made once per process of tests: it takes a second."""

from streamchat.web.app import build_api
from streamchat.wiring import ServiceHolder

SPEC = build_api(ServiceHolder()).openapi()
