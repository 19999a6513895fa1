"""The settings, read once from the environment into a frozen value.

Knows nothing of what they are used for. Nothing is read at import: call ``load_settings()`` at the
start and hand the value on. Durations are seconds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from streamchat.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]
_BETWEEN_COMMAS = re.compile(r"""(?:[^,"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|["'\\])+""")
CommaList = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All settings; names and defaults are those of ``docs/settings.md``."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")

    servers: CommaList = Field((), validation_alias="STREAMCHAT_SERVERS")
    models: CommaList = Field((), validation_alias="STREAMCHAT_MODELS")
    local_gguf: Path | None = Field(None, validation_alias="STREAMCHAT_LOCAL_GGUF")
    database_url: str | None = Field(None, validation_alias="STREAMCHAT_DATABASE_URL")
    data_dir: Path = Field(Path("data"), validation_alias="STREAMCHAT_DATA_DIR")
    redis_url: str | None = Field(None, validation_alias="STREAMCHAT_REDIS_URL", repr=False)
    workers: int = Field(1, ge=1, le=64, validation_alias="STREAMCHAT_WORKERS")
    run_keep: Seconds = Field(600, validation_alias="STREAMCHAT_RUN_KEEP")
    run_entries: int = Field(10_000, ge=100, validation_alias="STREAMCHAT_RUN_ENTRIES")
    public_url: str | None = Field(None, validation_alias="STREAMCHAT_PUBLIC_URL")
    cors_origins: CommaList = Field((), validation_alias="STREAMCHAT_CORS_ORIGINS")
    streams_per_client: int = Field(64, ge=1, le=100_000, validation_alias="STREAMCHAT_STREAMS_PER_CLIENT")
    completion_log: str | None = Field(None, validation_alias="STREAMCHAT_COMPLETION_LOG")
    connect_timeout: Seconds = Field(10, validation_alias="STREAMCHAT_CONNECT_TIMEOUT")
    first_token_timeout: Seconds = Field(120, validation_alias="STREAMCHAT_FIRST_TOKEN_TIMEOUT")
    idle_timeout: Seconds = Field(180, validation_alias="STREAMCHAT_IDLE_TIMEOUT")
    total_timeout: Seconds = Field(3600, validation_alias="STREAMCHAT_TOTAL_TIMEOUT")
    retries: int = Field(3, ge=0, le=10, validation_alias="STREAMCHAT_RETRIES")
    rescue: bool = Field(False, validation_alias="STREAMCHAT_RESCUE")
    fallback_model: str | None = Field(None, validation_alias="STREAMCHAT_FALLBACK_MODEL")
    tools: CommaList = Field((), validation_alias="STREAMCHAT_TOOLS")
    schema_tools: CommaList = Field((), validation_alias="STREAMCHAT_SCHEMA_TOOLS")
    approve: CommaList = Field((), validation_alias="STREAMCHAT_APPROVE")
    trust: CommaList = Field((), validation_alias="STREAMCHAT_TRUST")
    mcp: CommaList = Field((), validation_alias="STREAMCHAT_MCP", repr=False)
    port: int = Field(3000, ge=1, le=65535, validation_alias="PORT")
    grpc_port: int | None = Field(None, ge=1, le=65535, validation_alias="STREAMCHAT_GRPC_PORT")
    grpc_host: str = Field("127.0.0.1", validation_alias="STREAMCHAT_GRPC_HOST")

    # Set by the supervisor of several workers, not by people: where it lends what exists once per machine.
    children: Path | None = Field(None, validation_alias="STREAMCHAT_CHILDREN", repr=False)

    @field_validator("servers", "models", "tools", "schema_tools", "approve", "trust", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("mcp", mode="before")
    @classmethod
    def _split_outside_quotes(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(item.strip() for item in _BETWEEN_COMMAS.findall(value) if item.strip())
        return value

    @field_validator("models", "schema_tools")
    @classmethod
    def _model_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not all(item.partition(":")):
                raise ValueError(f"{item!r} is not provider:model")
        return value

    @field_validator("servers")
    @classmethod
    def _named_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            name, _, url = item.partition("=")
            if not name or not url.startswith(("http://", "https://")):
                raise ValueError(f"{item!r} is not name=http://…")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_of_pages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            scheme, _, host = item.rstrip("/").partition("://")
            if scheme not in ("http", "https") or not host or "/" in host or "*" in host:
                raise ValueError(f"{item!r} is not an origin such as https://chat.example")
        return value

    @field_validator("openai_base_url", "anthropic_base_url", "public_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} does not start with http:// or https://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("it does not start with redis://, rediss:// or unix://")  # it may hold a password
        return value

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database, SQLite in the data directory by default."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'streamchat.db'}"

    @property
    def origins(self) -> tuple[str, ...]:
        """The page's own origins: the only ones that may open its socket."""
        own = (f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}")
        return (*own, self.public_url.rstrip("/")) if self.public_url else own


def load_settings() -> Settings:
    """Read the environment. Raises ``SettingsError`` that names every bad setting, and no secret value."""
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] filled from the environment
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(p) for p in item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"Cannot start with these settings: {told}.") from None
    if (settings.completion_log or "").startswith("redis:") and settings.redis_url is None:
        raise SettingsError(
            "Cannot start with these settings: STREAMCHAT_COMPLETION_LOG names a Redis stream, and needs "
            "STREAMCHAT_REDIS_URL."
        )
    if settings.workers > 1 and settings.redis_url is None:
        raise SettingsError(
            f"Cannot start with these settings: STREAMCHAT_WORKERS={settings.workers} needs STREAMCHAT_REDIS_URL, "
            "through which the workers share their answers."
        )
    return settings
