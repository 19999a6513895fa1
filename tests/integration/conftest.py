"""Load the SDKs before any test: the first use takes seconds, which is longer than the deadlines of some tests."""

import anthropic  # noqa: F401
import openai  # noqa: F401

from tests.support import shared_tls

shared_tls.share()
