"""A package index on loopback, with wheels that are made here: releases can be added while it runs."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(
    name: str,
    version: str,
    requires: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    files: int = 1,
    size: int = 1,
) -> bytes:
    """A wheel with ``files`` files of ``size`` bytes. Its metadata comes first, as some build tools have it."""
    info = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Provides-Extra: {extra}" for extra in extras]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    contents = {
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.py": "",
        **{f"{name}/{number}.txt": "x" * size for number in range(files)},
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return buffer.getvalue()


class PackageIndex:
    """``url`` is what ``PIP_INDEX_URL`` takes. ``requests`` are the paths that were asked for."""

    def __init__(self) -> None:
        self._wheels: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.requests.append(self.path)
                status, kind, body = index.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"

    def add(self, name: str, version: str, content: bytes, tag: str = "py3-none-any") -> str:
        """Publish a release, and return its line for a lock."""
        self._wheels.setdefault(name, {})[f"{name}-{version}-{tag}.whl"] = content
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        kind, name, *rest = path.strip("/").split("/")
        wheels = self._wheels.get(name, {})
        if kind == "simple" and wheels:
            links = [f'<a href="/files/{name}/{file}">{file}</a>' for file in wheels]
            return 200, "text/html", ("<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>").encode()
        if kind == "files" and rest and rest[0] in wheels:
            return 200, "application/octet-stream", wheels[rest[0]]
        return 404, "text/plain", b"not here"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
