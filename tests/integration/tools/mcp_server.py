"""An MCP server for tests, made with the SDK: ``python mcp_server.py [port]``. It misbehaves on purpose."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import time
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

OBJECT = {"type": "object", "properties": {}}
N = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
TEXTS: dict[str, Any] = {
    "html": "<script>alert(1)</script>",
    "big": "x" * 1_000_000,
    "empty": "",
}
LIES = {
    "wrong": {"type": "object", "properties": {"a": {"type": "nonsense"}}},
    "elsewhere": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
    "nowhere": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/nothing"}},
        "required": [],
        "$ref": "#/nothing",
    },
    "huge": {"type": "object", "description": "x" * 100_000},
    "pattern": {"type": "object", "properties": {"a": {"pattern": "("}}},
    "n" * 64: OBJECT,
    "sp ace": OBJECT,
    "sp_ace": OBJECT,
}


def tools() -> list[types.Tool]:
    plain = [
        "picture",
        "both",
        "structured_picture",
        "broken_picture",
        "error",
        "traceback",
        "structured",
        "wrapped",
        "die",
        "block",
        "wait",
        "lie",
    ]
    found = [types.Tool(name=name, description=f"Does {name}.", input_schema=OBJECT) for name in [*plain, *TEXTS]]
    found.append(types.Tool(name="count", description="Counts.", input_schema=N))
    found.append(types.Tool(name="env", input_schema={"type": "object", "properties": {"name": {"type": "string"}}}))
    if "lies" in sys.argv:
        found += [types.Tool(name=name, input_schema=schema) for name, schema in LIES.items()]
    return found


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    if "slow-list" in sys.argv:
        await anyio.sleep(600)
    return types.ListToolsResult(tools=tools(), next_cursor="again" if "endless-list" in sys.argv else None)


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    picture = types.ImageContent(data=base64.b64encode(b"\x89PNG").decode(), mime_type="image/png")
    match params.name:
        case "count":
            last = int((params.arguments or {})["n"])
            for n in range(1, last + 1):
                await context.session.report_progress(n, last, f"step {n}" if n < last else None)
            return said(f"counted to {last}")
        case "env":
            return said(os.environ.get((params.arguments or {})["name"], "not set"))
        case "picture":
            return types.CallToolResult(content=[picture])
        case "both":
            resource = types.BlobResourceContents(uri="file:///a.png", mime_type="image/png", blob=picture.data)
            text, more = types.TextContent(text="look"), types.TextContent(text="and here")
            return types.CallToolResult(content=[text, picture, more, types.EmbeddedResource(resource=resource)])
        case "structured_picture":
            text = types.TextContent(text='{"a": 1}')
            return types.CallToolResult(content=[text, picture], structured_content={"a": 1})
        case "broken_picture":
            return types.CallToolResult(content=[types.ImageContent(data="***", mime_type="image/png")])
        case "error":
            return types.CallToolResult(content=[types.TextContent(text="no such\nplace")], is_error=True)
        case "traceback":
            raise ValueError("went wrong inside")
        case "structured":
            return types.CallToolResult(content=[types.TextContent(text="{}")], structured_content={"a": [1, None]})
        case "wrapped":
            return types.CallToolResult(content=[], structured_content={"result": [1, 2]})
        case "die":
            os._exit(3)
        case "block":
            time.sleep(600)  # noqa: ASYNC251 is what is tested
        case "wait":
            await asyncio.sleep(600)
        case name:
            return said(TEXTS[name])
    raise AssertionError


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


async def main() -> None:
    server = Server("test", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def serve_http(port: int) -> None:
    import uvicorn

    server = Server("test", on_list_tools=list_tools, on_call_tool=call_tool)
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    ports = [int(word) for word in sys.argv[1:] if word.isdigit()]
    if ports:
        serve_http(ports[0])
    else:
        asyncio.run(main())
