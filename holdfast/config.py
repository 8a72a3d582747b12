"""Settings from the environment: read once, cast, validated, frozen."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import parse_qs, urlsplit

import redis
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
)

from holdfast import kafka
from holdfast.environment import Found, hints, read, variable
from holdfast.errors import ConfigError
from holdfast.hook_guard import network
from holdfast.kafka import Cluster
from holdfast.operator_tokens import named_tokens
from holdfast.origins import origins
from holdfast.public_keys import public_keys
from holdfast.values import NAME


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    urls = [part.strip() for part in value.split(",") if part.strip()]
    for url in urls:
        address = urlsplit(url)
        if address.scheme not in ("http", "https", "dns+http") or not address.hostname:
            raise ValueError("each URL begins with http://, https:// or dns+http:// and a host")
    # A slash may also be the last character of a key in a query.
    return tuple(url if "?" in url else url.rstrip("/") for url in urls)


def _redis(url: str) -> str:
    try:
        pool = redis.ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError("not a redis://, rediss:// or unix:// URL that redis-py knows") from None
    return url


def _public_keys(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value or None
    try:
        return public_keys(value)
    except ValueError as error:
        raise ValueError(f"not a public key: {error}") from None


def _operator_tokens(value: Any) -> Any:
    if isinstance(value, str):
        named_tokens(value)
    return value or None


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = tuple(name for part in value.split(",") if (name := part.strip()))
    if not all(map(NAME.fullmatch, names)):
        raise ValueError("names of values are expected, separated by commas")
    return names


def _networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return tuple(str(network(part)) for part in value.split(",") if part.strip())
    except ValueError:
        raise ValueError("each part is a network like 10.0.0.0/8, or an address") from None


def _jwt_key(value: Any) -> Any:
    # RFC 7518, 3.2: at least as long as the hash.
    if isinstance(value, str) and value and len(value.encode()) < 32:
        raise ValueError("32 bytes or more are needed")
    return value or None


def _jwks_url(value: Any) -> Any:
    if not value:
        return None
    address = urlsplit(str(value))
    if address.scheme not in ("http", "https", "file"):
        raise ValueError("a URL that begins with https://, http:// or file:///")
    return value


UrlList = Annotated[tuple[str, ...], BeforeValidator(_split)]
NameList = Annotated[tuple[str, ...], BeforeValidator(_names)]
RedisUrl = Annotated[str, AfterValidator(_redis)]
# An empty one is none: that is how Compose passes on a variable that is not set.
PublicKeys = Annotated[tuple[Any, ...] | None, BeforeValidator(_public_keys)]
Secret = Annotated[SecretStr | None, BeforeValidator(lambda value: value or None)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_networks)]
OperatorTokens = Annotated[SecretStr | None, BeforeValidator(_operator_tokens)]
JwtKey = Annotated[SecretStr | None, BeforeValidator(_jwt_key)]
JwksUrl = Annotated[str | None, BeforeValidator(_jwks_url)]
Origins = Annotated[tuple[str, ...], BeforeValidator(origins)]
Optional = Annotated[str | None, BeforeValidator(lambda value: value or None)]


def _by(*parts: str, unit: str = "", file: bool = False) -> dict[str, JsonValue]:
    """Who uses a setting, its unit, and whether a file may hold it: what may be secret."""
    return {"by": ", ".join(parts), "unit": unit, "file": file}


def is_fanout(grip_url: str) -> bool:
    """Whether it names a Fastly service: its path ends in /service/<id>."""
    return re.search(r"/service/[A-Za-z0-9_-]+/?$", urlsplit(grip_url).path) is not None


class Settings(BaseModel):
    """Everything that the environment decides, as `HOLDFAST_<NAME>`.

    Lists are comma separated. Secrets have no default: a part that needs one refuses to start.
    `holdfast config --markdown` makes docs/settings.md of this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        json_schema_extra=_by("all", file=True),
        description="`rediss://user:password@host:port/0?ssl_ca_certs=path` for TLS and an ACL's "
        "user, `unix:///path?db=0` for a socket",
    )
    kafka: str = Field(
        "127.0.0.1:9092",
        min_length=1,
        json_schema_extra=_by("all"),
        description="bootstrap servers, `host:port,...`",
    )
    kafka_client: Mapping[str, str] = Field(
        {}, repr=False, json_schema_extra=_by("all", file=True), description=""
    )
    values: Path = Field(
        Path("values.toml"), json_schema_extra=_by("all"), description="path of values.toml"
    )
    grip_key: Secret = Field(
        None,
        json_schema_extra=_by("origin", file=True),
        description="the key that Pushpin signs `Grip-Sig` with",
    )
    grip_verify_key: PublicKeys = Field(
        None,
        json_schema_extra=_by("origin", file=True),
        description="the public key that Fanout signs `Grip-Sig` with (ES256): PEM, a JWK or a "
        "JWKS",
    )
    grip_verify_iss: Optional = Field(
        None,
        json_schema_extra=_by("origin"),
        description="who signs with it; not set = `fastly:<HOLDFAST_FASTLY_SERVICE_ID>`, for "
        "Fanout's key is the same for all its customers",
    )
    grip_url: UrlList = Field(
        ("http://127.0.0.1:5561",),
        repr=False,
        json_schema_extra=_by("publisher", "relay", file=True),
        description="Pushpins' control endpoints, as GRIP URLs: `?iss=...&key=...` or `?key=...` "
        "where they ask for it; Fanout's is `https://api.fastly.com/service/<id>`; "
        "`dns+http://...` as well",
    )
    purge_urls: UrlList = Field(
        ("http://127.0.0.1:6081",),
        json_schema_extra=_by("publisher"),
        description="edge nodes, or `https://api.fastly.com`; `dns+http://name:port` is one at "
        "each address of the name",
    )
    edge_metrics_urls: UrlList = Field(
        (),
        json_schema_extra=_by("publisher"),
        description="where each edge node's exporter serves `/metrics`, in the order of "
        "HOLDFAST_PURGE_URLS; `dns+http://...` as well. Not set = what edges count is not shown",
    )
    pushpin_metrics_urls: UrlList = Field(
        (),
        json_schema_extra=_by("publisher"),
        description="where each Pushpin serves `/metrics`, in the order of HOLDFAST_GRIP_URL; "
        "`dns+http://...` as well. Not set = nobody counts who is watching (the value `viewers`)",
    )
    origin_urls: UrlList = Field(
        ("http://127.0.0.1:8000",),
        json_schema_extra=_by("publisher"),
        description="whose `/health/ready` it asks before it hints; `dns+http://...` as well",
    )
    fastly_service_id: str = Field(
        "holdfast",
        pattern=r"^[A-Za-z0-9_-]+$",
        json_schema_extra=_by("origin", "publisher"),
        description="service id in purge URLs, and of whose Fanout signs",
    )
    fastly_key: Secret = Field(
        None,
        json_schema_extra=_by("publisher", "relay", file=True),
        description="token of the purge API, and of Fanout where a GRIP URL has no key",
    )
    repurge_after: float = Field(
        0.0,
        ge=0,
        le=300,
        json_schema_extra=_by("publisher", unit="s"),
        description="so long after a release purge again; 0 = never. For the real Fastly",
    )
    budget_per_second: float = Field(
        0.0,
        ge=0,
        le=1_000_000_000,
        allow_inf_nan=False,
        json_schema_extra=_by("origin", "publisher", unit="keys/s"),
        description="that all values together may purge, until an operator sets another; 0 = no "
        "limit. The same for all",
    )
    budget_per_hour: float = Field(
        0.0,
        ge=0,
        le=1_000_000_000,
        allow_inf_nan=False,
        json_schema_extra=_by("origin", "publisher", unit="keys/h"),
        description="likewise",
    )
    operator_tokens: OperatorTokens = Field(
        None,
        json_schema_extra=_by("origin", file=True),
        description="who may use `/api/`, as `name:token,...`; a token is 16 to 256 visible ASCII "
        "characters without comma and colon. Not set = there is no `/api/`",
    )
    jwt_key: JwtKey = Field(
        None,
        json_schema_extra=_by("origin", file=True),
        description="the secret that tokens of readers and posters are signed with (HS256), 32 "
        "bytes or more. This or the next switches [access](access.md) on",
    )
    jwt_jwks_url: JwksUrl = Field(
        None,
        json_schema_extra=_by("origin"),
        description="where the public keys of who makes tokens are (RS256, ES256): a JWKS, "
        "`https://...` or `file:///...`",
    )
    jwt_audience: str = Field(
        "holdfast",
        min_length=1,
        json_schema_extra=_by("origin"),
        description="what tokens must name as their audience",
    )
    jwt_issuer: Optional = Field(
        None,
        json_schema_extra=_by("origin"),
        description="who they must say that they are from; not set = anybody whose key it is",
    )
    jwt_leeway_s: float = Field(
        10.0,
        ge=0,
        le=300,
        json_schema_extra=_by("origin", unit="s"),
        description="how far clocks may be apart",
    )
    jwt_open_post: bool = Field(
        False,
        json_schema_extra=_by("origin"),
        description="1 = updates of values that are not private need no token all the same",
    )
    allowed_origins: Origins = Field(
        (),
        json_schema_extra=_by("origin"),
        description="from which other sites' pages browsers may post and read private values, as "
        "`https://app.example,...`. Not set = posts from anywhere, private values from the own "
        "host alone",
    )
    proxies: int = Field(
        2,
        ge=0,
        le=16,
        json_schema_extra=_by("origin"),
        description="how many proxies in front add to `X-Forwarded-For`: nginx and the edge. By it "
        "clients' addresses are told",
    )
    webhook_allow: Networks = Field(
        (),
        json_schema_extra=_by("hooks"),
        description="networks that webhooks may go to though they are not public, and by http:// "
        "as well: `10.1.0.0/16,...`",
    )
    webhook_patience: float = Field(
        86_400.0,
        ge=0,
        le=31_536_000,
        allow_inf_nan=False,
        json_schema_extra=_by("hooks", unit="s"),
        description="so long a receiver may fail before its webhook is disabled",
    )
    idempotency_keys: int = Field(
        1_000_000,
        ge=1,
        json_schema_extra=_by("publisher", unit="keys"),
        description="remembered per value; the same for all publishers",
    )
    retention_ms: int = Field(
        -1,
        ge=-1,
        json_schema_extra=_by("publisher", "relay", unit="ms"),
        description="`retention.ms` of topics that it creates; -1 = keep all",
    )
    kafka_replication: int = Field(
        1,
        ge=1,
        json_schema_extra=_by("publisher", "relay", unit="copies"),
        description="of topics that it creates; from 3 on with `min.insync.replicas=2`",
    )
    slot: str = Field(
        "publisher-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        json_schema_extra=_by("publisher", "relay", "hooks"),
        description="name of a publisher (`group.instance.id`), of a relay, or of a process for "
        "webhooks; no other of its kind has it, the same at each start",
    )
    group: str = Field(
        "holdfast",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        json_schema_extra=_by("publisher"),
        description="consumer group",
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=300,
        json_schema_extra=_by("origin", unit="s"),
        description="so long after SIGTERM it goes on answering while `/health/ready` says 503",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        pattern=r"^\d{1,3}(\.\d{1,3}){3}$",
        json_schema_extra=_by("publisher", "relay", "hooks"),
        description="an address of this machine; 0.0.0.0 = all of them",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        json_schema_extra=_by("publisher", "relay", "hooks"),
        description="`/metrics`, `/health/live`, `/health/ready` are there; 0 = off",
    )
    metrics_values: NameList = Field(
        (),
        max_length=100,
        json_schema_extra=_by("publisher"),
        description="names of values, at most 100, that get series of their own; all others are "
        "counted together",
    )
    log_level: str = Field(
        "INFO",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR)$",
        json_schema_extra=_by("all"),
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`",
    )
    log_format: str = Field(
        "text",
        pattern=r"^(text|json)$",
        json_schema_extra=_by("all"),
        description="`text`, or `json` for an object a line",
    )

    def secret(self, name: str) -> str:
        """The secret called `name`; ConfigError when the environment does not set it."""
        value = self.optional(name)
        if value is None:
            raise ConfigError(f"{variable(name)} is not set; it has no default")
        return value

    def optional(self, name: str) -> str | None:
        """The secret called `name`, None when the environment does not set it."""
        value: SecretStr | None = getattr(self, name)
        return None if value is None else value.get_secret_value()

    def require(self, part: str) -> None:
        """ConfigError when a secret is not set that `part` can't do without."""
        missing = [name for name in self._needed(part) if getattr(self, name) is None]
        if missing:
            raise ConfigError(
                *(f"{variable(name)} is not set; {part} needs it" for name in missing)
            )
        if self.jwt_key is not None and self.jwt_jwks_url is not None:
            raise ConfigError(
                f"{variable('jwt_key')} and {variable('jwt_jwks_url')}: only one of them counts"
            )

    def _needed(self, part: str) -> tuple[str, ...]:
        if part == "origin":
            return ("grip_key",) if self.grip_verify_key is None else ()
        if part == "hooks":
            return ()
        asks = any(
            is_fanout(url) and "key" not in parse_qs(urlsplit(url).query) for url in self.grip_url
        )
        return ("fastly_key",) if part == "publisher" or asks else ()

    @property
    def issuer(self) -> str:
        """Who signs with grip_verify_key."""
        return self.grip_verify_iss or f"fastly:{self.fastly_service_id}"

    @property
    def cluster(self) -> Cluster:
        """Kafka, as every client finds it."""
        return Cluster(self.kafka, self.kafka_client)


NAMES = tuple(name for name in Settings.model_fields if name != "kafka_client")


def about(name: str) -> dict[str, Any]:
    """What `_by` noted of a setting."""
    return cast(dict[str, Any], Settings.model_fields[name].json_schema_extra)


FILES = tuple(name for name in NAMES if about(name)["file"])


def find(environ: Mapping[str, str] = os.environ) -> Found:
    """What the environment says, whether it is right or not."""
    return read(environ, NAMES, FILES)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment. ConfigError names the variable at fault and never shows its value."""
    found = find(environ)
    faults = list(found.faults)
    try:
        settings = Settings(**found.values, kafka_client=found.kafka)
    except ValidationError as error:
        for fault in error.errors(include_input=False):
            key = variable(str(fault["loc"][0]))
            faults.append(
                f"{found.sources.get(key, key)}: {fault['msg'].removeprefix('Value error, ')}"
            )
    if found.kafka:
        try:
            kafka.check(found.kafka)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(*faults) from None
    return settings


def warn(log: logging.Logger, environ: Mapping[str, str] = os.environ) -> None:
    """A warning for each HOLDFAST_ variable that is no setting: most likely a typing mistake."""
    for line in hints(find(environ).unknown, NAMES):
        log.warning("%s", line)
