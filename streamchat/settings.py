"""The settings, read once from the environment into a frozen value.

Knows nothing of their use. Nothing is read at import: call ``load_settings()`` at the start and pass the value on.
Durations are seconds.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from streamchat import build, extras
from streamchat.defaults import (
    FILE_BYTES,
    FILES_PER_OWNER,
    FIRST_TOKEN_SECONDS,
    IDLE_SECONDS,
    RETRIES,
    RUN_ENTRIES,
    RUN_KEEP_BYTES,
    RUN_KEEP_SECONDS,
    TOTAL_SECONDS,
)
from streamchat.encryption import MIN_SECRET
from streamchat.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
_BETWEEN_COMMAS = re.compile(r"""(?:[^,"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|["'\\])+""")
_CLUSTER_SCHEMES = ("redis+cluster://", "rediss+cluster://")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", *_CLUSTER_SCHEMES)
_BASE_PATH = re.compile(r"(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])*")
CommaList = Annotated[tuple[str, ...], NoDecode]
LOGO_TYPES = (".svg", ".png", ".webp")
LOGO_BYTES = 1_000_000


class Suggestion(BaseModel):
    """A prompt on the empty page. ``model``: answers it; without one, the chosen model does."""

    label: str = Field(min_length=1, max_length=60)
    text: str = Field(min_length=1, max_length=2000)
    model: str | None = Field(None, max_length=200)


_SUGGESTIONS = TypeAdapter(Annotated[tuple[Suggestion, ...], Field(max_length=12)])


def default_data_dir() -> Path:
    """Return ``data`` in the working directory if that exists, or in a checkout; else the platform's data folder."""
    here = Path("data")
    if here.is_dir():
        return here.absolute()
    if build.is_checkout():
        return build.ROOT / "data"
    from platformdirs import user_data_path

    return user_data_path("streamchat", appauthor=False)


class _Environment(EnvSettingsSource):
    """The environment as it is: no setting is JSON, and to ask of each whether it is takes half of the time."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return value


class Settings(BaseSettings, frozen=True):
    """All settings; names and defaults are those of ``docs/settings.md``."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments and the environment. There is no other source here, and looking there costs as much again."""
        return named["init_settings"], _Environment(settings_cls)

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    openai_background: bool = Field(False, validation_alias="STREAMCHAT_OPENAI_BACKGROUND")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")

    servers: CommaList = Field((), validation_alias="STREAMCHAT_SERVERS")
    agents: CommaList = Field((), validation_alias="STREAMCHAT_AGENTS")
    models: CommaList = Field((), validation_alias="STREAMCHAT_MODELS")
    local_gguf: Path | None = Field(None, validation_alias="STREAMCHAT_LOCAL_GGUF")
    database_url: str | None = Field(None, validation_alias="STREAMCHAT_DATABASE_URL")
    data_dir: Path = Field(default_factory=default_data_dir, validation_alias="STREAMCHAT_DATA_DIR")
    redis_url: str | None = Field(None, validation_alias="STREAMCHAT_REDIS_URL", repr=False)
    workers: int = Field(1, ge=1, le=64, validation_alias="STREAMCHAT_WORKERS")
    run_keep: Seconds = Field(RUN_KEEP_SECONDS, validation_alias="STREAMCHAT_RUN_KEEP")
    run_bytes: int = Field(RUN_KEEP_BYTES, ge=0, validation_alias="STREAMCHAT_RUN_BYTES")
    run_entries: int = Field(RUN_ENTRIES, ge=100, validation_alias="STREAMCHAT_RUN_ENTRIES")
    public_url: str | None = Field(None, validation_alias="STREAMCHAT_PUBLIC_URL")
    cors_origins: CommaList = Field((), validation_alias="STREAMCHAT_CORS_ORIGINS")
    archive_api_calls: bool = Field(False, validation_alias="STREAMCHAT_ARCHIVE_API_CALLS")
    http_get_starts: bool = Field(False, validation_alias="STREAMCHAT_HTTP_GET_STARTS")
    streams_per_client: Count = Field(64, validation_alias="STREAMCHAT_STREAMS_PER_CLIENT")
    streams_per_owner: Count = Field(2000, validation_alias="STREAMCHAT_STREAMS_PER_OWNER")
    starts_per_client: Count = Field(600, validation_alias="STREAMCHAT_STARTS_PER_CLIENT")
    starts_per_owner: Count = Field(1200, validation_alias="STREAMCHAT_STARTS_PER_OWNER")
    runs_per_client: Count = Field(500, validation_alias="STREAMCHAT_RUNS_PER_CLIENT")
    runs_per_owner: Count = Field(1000, validation_alias="STREAMCHAT_RUNS_PER_OWNER")
    events_per_client: Count = Field(3000, validation_alias="STREAMCHAT_EVENTS_PER_CLIENT")
    events_per_owner: Count = Field(6000, validation_alias="STREAMCHAT_EVENTS_PER_OWNER")
    requests_per_day: Count | None = Field(None, validation_alias="STREAMCHAT_REQUESTS_PER_DAY")
    tokens_per_day: int | None = Field(None, ge=1, le=10**12, validation_alias="STREAMCHAT_TOKENS_PER_DAY")
    cost_per_day: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        None, validation_alias="STREAMCHAT_COST_PER_DAY"
    )
    max_answers: Count | None = Field(None, validation_alias="STREAMCHAT_MAX_ANSWERS")
    handlers_per_client: Count = Field(500, validation_alias="STREAMCHAT_HANDLERS_PER_CLIENT")
    handlers_per_owner: Count = Field(1000, validation_alias="STREAMCHAT_HANDLERS_PER_OWNER")
    sockets_per_client: Count = Field(1000, validation_alias="STREAMCHAT_SOCKETS_PER_CLIENT")
    redis_connections: int = Field(100, ge=8, le=10_000, validation_alias="STREAMCHAT_REDIS_CONNECTIONS")
    connections: Count = Field(4000, validation_alias="STREAMCHAT_CONNECTIONS")
    request_timeout: Seconds = Field(30, validation_alias="STREAMCHAT_REQUEST_TIMEOUT")
    body_memory: int = Field(256 * 2**20, ge=2**20, validation_alias="STREAMCHAT_BODY_MEMORY")
    file_bytes: int = Field(FILE_BYTES, ge=1024, le=2**30, validation_alias="STREAMCHAT_FILE_BYTES")
    files_per_owner: int = Field(FILES_PER_OWNER, ge=0, validation_alias="STREAMCHAT_FILES_PER_OWNER")
    metrics: str | None = Field(None, validation_alias="STREAMCHAT_METRICS")
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", repr=False)
    otlp_metrics_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", repr=False)
    otlp_traces_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", repr=False)
    otel_metrics_exporter: str = Field("otlp", validation_alias="OTEL_METRICS_EXPORTER")
    otel_traces_exporter: str = Field("otlp", validation_alias="OTEL_TRACES_EXPORTER")
    otel_disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED")
    log: Literal["text", "json"] = Field("text", validation_alias="STREAMCHAT_LOG")
    record: Path | None = Field(None, validation_alias="STREAMCHAT_RECORD")
    completion_log: str | None = Field(None, validation_alias="STREAMCHAT_COMPLETION_LOG")
    connect_timeout: Seconds = Field(10, validation_alias="STREAMCHAT_CONNECT_TIMEOUT")
    first_token_timeout: Seconds = Field(FIRST_TOKEN_SECONDS, validation_alias="STREAMCHAT_FIRST_TOKEN_TIMEOUT")
    idle_timeout: Seconds = Field(IDLE_SECONDS, validation_alias="STREAMCHAT_IDLE_TIMEOUT")
    total_timeout: Seconds = Field(TOTAL_SECONDS, validation_alias="STREAMCHAT_TOTAL_TIMEOUT")
    retries: int = Field(RETRIES, ge=0, le=10, validation_alias="STREAMCHAT_RETRIES")
    rescue: bool = Field(False, validation_alias="STREAMCHAT_RESCUE")
    continue_tries: int = Field(1, ge=0, le=10, validation_alias="STREAMCHAT_CONTINUE")
    prices: Path | None = Field(None, validation_alias="STREAMCHAT_PRICES")
    fallback_model: str | None = Field(None, validation_alias="STREAMCHAT_FALLBACK_MODEL")
    titles: str | None = Field(None, validation_alias="STREAMCHAT_TITLES")
    modules: CommaList = Field((), validation_alias="STREAMCHAT_MODULES")
    tools: CommaList = Field((), validation_alias="STREAMCHAT_TOOLS")  # the older name of ``modules``
    schema_tools: CommaList = Field((), validation_alias="STREAMCHAT_SCHEMA_TOOLS")
    approve: CommaList = Field((), validation_alias="STREAMCHAT_APPROVE")
    trust: CommaList = Field((), validation_alias="STREAMCHAT_TRUST")
    mcp: CommaList = Field((), validation_alias="STREAMCHAT_MCP", repr=False)
    host: str = Field("127.0.0.1", validation_alias="STREAMCHAT_HOST")
    port: int = Field(3000, ge=1, le=65535, validation_alias="PORT")
    grpc_port: int | None = Field(None, ge=1, le=65535, validation_alias="STREAMCHAT_GRPC_PORT")
    grpc_host: str = Field("127.0.0.1", validation_alias="STREAMCHAT_GRPC_HOST")

    app_name: str = Field("streamchat", min_length=1, max_length=60, validation_alias="STREAMCHAT_APP_NAME")
    logo: Path | None = Field(None, validation_alias="STREAMCHAT_LOGO")
    accent: str | None = Field(None, pattern=r"^#[0-9a-fA-F]{6}$", validation_alias="STREAMCHAT_ACCENT")
    language: Literal["en", "de"] | None = Field(None, validation_alias="STREAMCHAT_LANGUAGE")
    suggestions: Path | None = Field(None, validation_alias="STREAMCHAT_SUGGESTIONS")
    system_prompt: str | None = Field(None, max_length=200_000, validation_alias="STREAMCHAT_SYSTEM_PROMPT")

    accounts: Literal["off", "invite", "open"] = Field("off", validation_alias="STREAMCHAT_ACCOUNTS")
    password: SecretStr | None = Field(None, min_length=8, validation_alias="STREAMCHAT_PASSWORD")
    trusted_user_header: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]+$", validation_alias="STREAMCHAT_TRUSTED_USER_HEADER"
    )
    trusted_proxies: CommaList = Field((), validation_alias="STREAMCHAT_TRUSTED_PROXIES")
    oidc_issuer: str | None = Field(None, validation_alias="STREAMCHAT_OIDC_ISSUER")
    oidc_client_id: str | None = Field(None, validation_alias="STREAMCHAT_OIDC_CLIENT_ID")
    oidc_client_secret: SecretStr | None = Field(None, validation_alias="STREAMCHAT_OIDC_CLIENT_SECRET")

    secret_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), validation_alias="STREAMCHAT_SECRET_KEY")

    retention_days: int | None = Field(None, ge=1, le=36_500, validation_alias="STREAMCHAT_RETENTION_DAYS")
    audit_days: int = Field(180, ge=1, le=36_500, validation_alias="STREAMCHAT_AUDIT_DAYS")

    webhook_private: bool = Field(False, validation_alias="STREAMCHAT_WEBHOOK_PRIVATE")

    # Set by the supervisor of several workers, not by users: the number of this one, from 0 on, and the socket through
    # which it shares its children.
    worker: int = Field(0, ge=0, validation_alias="STREAMCHAT_WORKER", repr=False)
    children: Path | None = Field(None, validation_alias="STREAMCHAT_CHILDREN", repr=False)

    @field_validator(
        *(
            "servers",
            "agents",
            "models",
            "modules",
            "tools",
            "schema_tools",
            "approve",
            "trust",
            "cors_origins",
            "trusted_proxies",
            "secret_key",
        ),
        mode="before",
    )
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

    @field_validator("secret_key")
    @classmethod
    def _long_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET for secret in value):
            raise ValueError(f"each secret needs {MIN_SECRET} characters at least")
        return value

    @field_validator("logo")
    @classmethod
    def _picture(cls, value: Path | None) -> Path | None:
        if value is not None:
            if value.suffix.lower() not in LOGO_TYPES or not value.is_file():
                raise ValueError(f"{str(value)!r} is not a file that ends with {', '.join(LOGO_TYPES)}")
            if value.stat().st_size > LOGO_BYTES:
                raise ValueError(f"{str(value)!r} is larger than {LOGO_BYTES // 1000} kB")
        return value

    @field_validator("suggestions")
    @classmethod
    def _prompts(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                _SUGGESTIONS.validate_json(value.read_bytes())
            except (OSError, ValidationError):
                raise ValueError(f'{str(value)!r} is not a file with [{{"label": "…", "text": "…"}}, …]') from None
        return value

    @field_validator("titles")
    @classmethod
    def _titles_by(cls, value: str | None) -> str | None:
        if value in (None, "off", "auto") or all(value.partition(":")):
            return value
        raise ValueError(f"{value!r} is not off, auto or provider:model")

    @field_validator("servers", "agents")
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

    @field_validator("host", "grpc_host")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "localhost":
            return "127.0.0.1"
        try:
            return str(ip_address(value.removeprefix("[").removesuffix("]")))
        except ValueError:
            raise ValueError(f"{value!r} is not an IP address of this machine, such as 0.0.0.0") from None

    @field_validator("metrics")
    @classmethod
    def _port_or_address(cls, value: str | None) -> str | None:
        if value is not None:
            host, port = _address_and_port(value)
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(f"{value!r} is not a port, or an address with a port such as 0.0.0.0:9464") from None
            if not 1 <= port <= 65535:
                raise ValueError(f"{value!r} has no port from 1 to 65535")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            try:
                ip_network(item)
            except ValueError:
                raise ValueError(f"{item!r} is not an IP address or network such as 10.0.0.0/8") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if not _BASE_PATH.fullmatch(parts.path.rstrip("/")) or parts.query or parts.fragment:
                raise ValueError(f"{value!r} is not an address such as https://host or https://host/chat")
        return value

    @field_validator("openai_base_url", "anthropic_base_url", "public_url", "oidc_issuer")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} does not start with http:// or https://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(_REDIS_SCHEMES):
            raise ValueError(f"it does not start with {', '.join(_REDIS_SCHEMES[:-1])} or {_REDIS_SCHEMES[-1]}")
        return value  # not in the message: it may hold a password

    @property
    def suggestion_list(self) -> tuple[Suggestion, ...]:
        """The prompts on the empty page in the file that a setting names; none without it."""
        return _SUGGESTIONS.validate_json(self.suggestions.read_bytes()) if self.suggestions else ()

    @property
    def page_redis_url(self) -> str | None:
        """The Redis in which Reflex stores the states of pages; ``None``: in memory. Its client knows no cluster."""
        return None if (self.redis_url or "").startswith(_CLUSTER_SCHEMES) else self.redis_url

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database, SQLite in the data directory by default."""
        return self.database_url or f"sqlite:///{self.data_dir / 'streamchat.db'}"

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """The address and the port of this worker's ``/metrics``, ``None`` if it is off."""
        if self.metrics is None:
            return None
        host, port = _address_and_port(self.metrics)
        return host, port + self.worker

    @property
    def exports_metrics(self) -> bool:
        """Whether a collector gets the metrics, by OTLP."""
        endpoint = self.otlp_metrics_endpoint or self.otlp_endpoint
        return endpoint is not None and self.otel_metrics_exporter == "otlp" and not self.otel_disabled

    @property
    def exports_traces(self) -> bool:
        """Whether a collector gets the traces, by OTLP."""
        endpoint = self.otlp_traces_endpoint or self.otlp_endpoint
        return endpoint is not None and self.otel_traces_exporter == "otlp" and not self.otel_disabled

    @property
    def origins(self) -> tuple[str, ...]:
        """The page's own origins: the only ones that may open its socket."""
        own = (f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}")
        public = urlsplit(self.public_url or "")
        return (*own, f"{public.scheme}://{public.netloc}") if self.public_url else own

    @property
    def public_path(self) -> str:
        """The path of the public address without a slash at its end: ``""``, or for example ``"/chat"``."""
        return urlsplit(self.public_url or "").path.rstrip("/")

    @property
    def requires_identity(self) -> bool:
        """Whether everybody has to say who they are; otherwise whoever reaches the server is its one owner."""
        return self.accounts != "off" or self.password is not None or self.trusted_user_header is not None


def _address_and_port(value: str) -> tuple[str, int]:
    """Return both of ``9464``, ``0.0.0.0:9464`` or ``[::]:9464``; port 0 if there is none."""
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    return host.replace("localhost", "127.0.0.1"), int(port) if port.isascii() and port.isdecimal() else 0


def load_settings() -> Settings:
    """Read the environment. Raises ``SettingsError``, which names every bad setting, and no secret value."""
    try:
        settings = Settings()
    except ValidationError as error:
        errors = "; ".join(
            f"{'.'.join(str(p) for p in item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"Cannot start with these settings: {errors}.") from None
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
    _check_access(settings)
    _require_extras(settings)
    return settings


def _check_access(settings: Settings) -> None:
    """Raise ``SettingsError`` if others could reach a server that asks nobody who they are, or for half a setting."""
    for name, host in (("STREAMCHAT_HOST", settings.host), ("STREAMCHAT_GRPC_HOST", settings.grpc_host)):
        if not ip_address(host).is_loopback and not settings.requires_identity:
            raise SettingsError(
                f"Cannot start with these settings: with {name}={host} others can reach this server, and nobody has to "
                "sign in; set STREAMCHAT_ACCOUNTS=invite, or STREAMCHAT_PASSWORD, or STREAMCHAT_TRUSTED_USER_HEADER "
                "with STREAMCHAT_TRUSTED_PROXIES."
            )
    if settings.trusted_user_header is not None and not settings.trusted_proxies:
        raise SettingsError(
            "Cannot start with these settings: STREAMCHAT_TRUSTED_USER_HEADER needs STREAMCHAT_TRUSTED_PROXIES."
        )
    if settings.accounts != "off" and (settings.password or settings.trusted_user_header):
        raise SettingsError(
            "Cannot start with these settings: STREAMCHAT_ACCOUNTS, STREAMCHAT_PASSWORD and "
            "STREAMCHAT_TRUSTED_USER_HEADER are three ways to sign people in; choose one."
        )
    if settings.password and settings.trusted_user_header:
        raise SettingsError(
            "Cannot start with these settings: choose STREAMCHAT_PASSWORD or STREAMCHAT_TRUSTED_USER_HEADER, not both."
        )
    if settings.oidc_issuer and (settings.accounts == "off" or not settings.oidc_client_id):
        raise SettingsError(
            "Cannot start with these settings: STREAMCHAT_OIDC_ISSUER needs STREAMCHAT_OIDC_CLIENT_ID, and "
            "STREAMCHAT_ACCOUNTS=invite or open."
        )


def _require_extras(settings: Settings) -> None:
    """Raise ``SettingsError`` for a setting whose libraries are not installed."""
    if settings.accounts != "off":
        extras.require("accounts", "STREAMCHAT_ACCOUNTS")
    if settings.secret_key:
        extras.require("accounts", "STREAMCHAT_SECRET_KEY")
    if settings.metrics is not None:
        extras.require("otel", "STREAMCHAT_METRICS")
    if settings.log == "json":
        extras.require("otel", "STREAMCHAT_LOG=json")
    if settings.exports_metrics or settings.exports_traces:
        extras.require("otel", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if settings.redis_url is not None:
        extras.require("redis", "STREAMCHAT_REDIS_URL")
    if settings.mcp:
        extras.require("mcp", "STREAMCHAT_MCP")
    if settings.grpc_port is not None:
        extras.require("grpc", "STREAMCHAT_GRPC_PORT")
    if settings.database.startswith("postgres"):
        extras.require("postgres", "STREAMCHAT_DATABASE_URL")
