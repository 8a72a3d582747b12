"""Settings from the environment: read once, cast, validated, frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.errors import ConfigError


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    urls = [part.strip() for part in value.split(",") if part.strip()]
    for url in urls:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("each URL begins with http:// or https:// and a host")
    # A slash may also be the last character of a key in a query.
    return tuple(url if "?" in url else url.rstrip("/") for url in urls)


UrlList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything that the environment decides, as `HOLDFAST_<NAME>`.

    Lists are comma separated. Secrets have no default: a part that needs one refuses to start.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
    kafka: str = "127.0.0.1:9092"
    values: Path = Path("values.toml")
    grip_url: UrlList = ("http://127.0.0.1:5561",)
    grip_key: SecretStr | None = None
    purge_urls: UrlList = ("http://127.0.0.1:6081",)
    origin_urls: UrlList = ("http://127.0.0.1:8000",)
    fastly_service: str = Field("holdfast", pattern=r"^[A-Za-z0-9_-]+$")
    fastly_key: SecretStr | None = None
    repurge_after: float = Field(0.0, ge=0, le=300)
    budget_rate: float = Field(0.0, ge=0, allow_inf_nan=False)
    budget_burst: int = Field(100, ge=1)
    idempotency_keys: int = Field(1_000_000, ge=1)
    retention_ms: int = Field(-1, ge=-1)
    kafka_replication: int = Field(1, ge=1)
    slot: str = Field("publisher-1", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    group: str = Field("holdfast", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    metrics_port: int = Field(0, ge=0, le=65535)
    log_level: str = Field("INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")

    def secret(self, name: str) -> str:
        """The secret called `name`; ConfigError when the environment does not set it."""
        value: SecretStr | None = getattr(self, name)
        if value is None or not value.get_secret_value():
            raise ConfigError(f"HOLDFAST_{name.upper()} is not set; it has no default")
        return value.get_secret_value()


def load() -> Settings:
    """Read the environment. ConfigError names the variable at fault and never shows its value."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"HOLDFAST_{'.'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise ConfigError(faults) from None
