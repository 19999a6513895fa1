"""The child process of the embedded model: ``python -m streamchat.providers.local.server '{"path": …}'``.

Runs llama.cpp's own HTTP server on loopback (OpenAI-compatible, one model) inside the Python wheel. Knows nothing
of the program. Started by ``local.Local``, not by hand. Rules:

* One argument: the JSON of ``local.Load``. Failures are reported as a sentence, before or after loading.
* It runs at low priority: a page on the same machine matters more than tokens per second.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from streamchat.processes import subprocess_server

_SLOTS = 4
_NICE = 5


def main() -> None:
    """Load the model, report the port or an error to the parent process, and serve until stdin ends."""
    key = subprocess_server.take_key()
    load = json.loads(sys.argv[1])
    digest: list[str] = []
    hashing = threading.Thread(target=lambda: digest.append(_sha256(load)), daemon=True)
    hashing.start()  # while the model loads: both release the GIL
    with suppress(OSError):
        os.nice(_NICE)
    try:
        server = _serve(load, key)
    except ImportError as error:
        return subprocess_server.report(error=f"The engine for local models cannot be loaded on this machine: {error}.")
    except RuntimeError:
        text = f"The model file {Path(load['path']).name} is damaged, or of a kind that this engine cannot load."
        return subprocess_server.report(error=text)
    hashing.join()
    if load["sha256"] and digest != [load["sha256"]]:
        text = f"The model file {Path(load['path']).name} is not the one that was published. Install it again."
        return subprocess_server.report(error=text)
    subprocess_server.report(port=int(server.listening_address.rsplit(":", 1)[1]))
    threading.Event().wait()  # until stdin ends


def _serve(load: dict[str, Any], key: str) -> Any:
    engine: Any = importlib.import_module("xllamacpp")  # optional, and slow to import: here and nowhere else
    params = engine.CommonParams()
    params.model.path = load["path"]
    params.api_keys = [key]
    params.port = 0
    params.cors_origins = "http://127.0.0.1"
    params.ui = params.endpoint_slots = False
    params.verbosity = 1  # errors only: prompts do not belong into logs
    params.n_ctx = load["context"]
    params.n_parallel, params.kv_unified = _SLOTS, True  # answers share one window instead of a quarter each
    params.cache_ram_mib = 0  # its default keeps up to 8 GB of old prompts
    params.n_predict = load["max_tokens"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = load["threads"]
    for name, value in load["sampling"].items():
        setattr(params.sampling, name, value)
    return engine.Server(params)


def _sha256(load: dict[str, Any]) -> str:
    if not load["sha256"]:
        return ""
    with suppress(OSError), open(load["path"], "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


if __name__ == "__main__":
    main()
