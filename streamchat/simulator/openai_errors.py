"""OpenAI's error responses, with the status codes and bodies that its servers send. Pure."""

from __future__ import annotations

from streamchat.simulator import sse_writer
from streamchat.simulator.wire_format import Problem, Reply

_TABLE: dict[str, tuple[int, str, str | None, str]] = {
    "rate-limited": (
        429,
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached in organization org-simulated on tokens per min (TPM): Limit 30000, Used 29900, "
        "Requested 900. Please try again in {retry_after:g}s.",
    ),
    "quota": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "overloaded": (
        503,
        "server_error",
        None,
        "The server is currently overloaded with other requests. Sorry about that! Please retry your request.",
    ),
    "bad-key": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    "context-too-long": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. "
        "Please reduce the length of the messages.",
    ),
    "not-found": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{text}` does not exist or you do not have access to it.",
    ),
    "bad-path": (404, "invalid_request_error", None, "Invalid URL ({text})"),
    "bad-request": (400, "invalid_request_error", None, "{text}"),
}


def problem(problem: Problem) -> Reply:
    """Return the response for a problem. Unknown kinds have status 500."""
    status, kind, code, text = _TABLE.get(problem.kind, (500, "server_error", None, "{text}"))
    message = text.format(text=problem.text, key=masked(problem.key), retry_after=problem.retry_after or 0)
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    headers = {} if problem.retry_after is None else {"retry-after": f"{problem.retry_after:g}"}
    return Reply(status, sse_writer.dump(body), headers=headers)


def masked(key: str) -> str:
    """Return the key with its middle part masked, as vendors quote it in their error messages."""
    return f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 16 else "sk-simul************0000"
