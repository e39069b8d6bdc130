"""Settings: read once from the environment and `.env`, validated, and frozen.

The environment wins over `.env` beside `main.py`. In both, `NAME_FILE` names a file with the value of `NAME`
(`config/setting_files.py`). An empty value means "not set", except for `RATE_LIMIT_EXEMPT`, where it means that no client
is exempt. An invalid value raises `SettingsError`, whose text is one line for the operator: the variable, its value, and
the valid values.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import AwareDatetime, BaseModel, ByteSize, ConfigDict, Field, ValidationError, model_validator

from config.currencies import Currency
from config.observability_types import Collector, HeaderPairs, SentryDsn
from config.setting_files import SUFFIX, UnusableFile, with_files_read
from config.setting_types import (
    UNIX,
    Boolean,
    Contacts,
    Count,
    Country,
    Exchange,
    ExistingFolder,
    Folder,
    Host,
    Lower,
    MailAddresses,
    MailFrom,
    Network,
    Networks,
    Origins,
    PathPrefix,
    Port,
    Rate,
    RedisPrefix,
    Seconds,
    SecondsOrNone,
    SecretKeys,
    TimeZone,
    Upper,
    WholeSeconds,
)
from config.url_types import AppriseUrl, DatabaseUrl, RabbitUrl, RedisUrl, ShopUrl, SmtpUrl
from config.usable_cores import usable_cores

__all__ = [
    "DEFAULT_DATABASE_THREADS",
    "PROJECT_ROOT",
    "UNIX",
    "Network",
    "Settings",
    "SettingsError",
    "env_file",
    "export_setting",
    "get_settings",
    "read_settings",
]

PROJECT_ROOT = Path(__file__).resolve().parent.parent

# Enough threads to keep PostgreSQL busy; more of them only fight for the interpreter lock.
DEFAULT_DATABASE_THREADS = 6


class SettingsError(ValueError):
    """A setting is invalid; the message is one line with the variable and the remedy."""


class Settings(BaseModel):
    """The validated settings; a field's name is its variable's name in lower case.

    Durations are in seconds, sizes in bytes. `*_url` fields are the URLs of outside servers, or None for the embedded
    ones.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    database_url: DatabaseUrl | None = None
    postgres_host: Host | None = None
    postgres_port: Port = 5432
    postgres_db: str = "postgres"
    postgres_user: str = "postgres"
    postgres_password: str | None = None
    db_pool_size: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_DATABASE_THREADS
    db_max_overflow: Annotated[int, Field(ge=0, le=1000)] = 10
    db_pool_timeout: Seconds = 2.0
    db_pool_recycle: Seconds = 3600.0
    db_statement_timeout: Seconds = 5.0
    db_lock_timeout: Seconds = 3.0
    db_echo: Boolean = False

    redis_url: RedisUrl | None = None
    redis_host: Host | None = None
    redis_port: Port = 6379
    redis_db: Annotated[int, Field(ge=0)] = 0
    redis_password: str | None = None
    redis_prefix: RedisPrefix = "shop:"
    redis_enabled: Boolean = True
    redis_cache_ttl: Seconds = 300.0
    redis_max_connections: Count = 50

    embedded: Boolean | None = None
    allow_insecure: Boolean = False
    data_dir: Folder = Path(".data")
    backup_dir: Folder | None = None
    backup_days: Annotated[float, Field(gt=0, le=4000)] = 14

    api_host: Host | None = None
    api_port: Port = 8000
    api_prefix: PathPrefix = ""
    uvicorn_workers: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=usable_cores)
    backlog: Annotated[int, Field(ge=1, le=65_535)] = 2048
    timeout_keep_alive: Seconds = 5.0
    timeout_head: Seconds = 10.0
    timeout_body: Seconds = 10.0
    min_body_rate: Count = 1000
    limit_concurrency: Count = 1000
    max_connections_per_address: Count = 200
    limit_event_streams: Annotated[int, Field(ge=0, le=100_000)] = 100
    limit_event_waits: Annotated[int, Field(ge=0, le=100_000)] = 100
    limit_max_requests: Count | None = None
    reload: Boolean = False
    drain_seconds: Annotated[SecondsOrNone, Field(le=600)] = 2.0

    rate_limit_enabled: Boolean = True
    rate_limit_calls: Count = 100
    rate_limit_period: WholeSeconds = 60
    rate_limit_exempt: Networks | None = None
    trusted_proxies: Networks = ()

    currency: Currency = "EUR"

    auth: Boolean = False
    secret_keys: SecretKeys = ()
    access_token_minutes: Annotated[float, Field(gt=0, le=1440)] = 15
    session_days: Annotated[float, Field(gt=0, le=400)] = 30
    registration: Lower[Literal["open", "verify", "closed"]] = "open"
    docs: Boolean = True
    metrics_open: Boolean = False
    smtp_url: SmtpUrl | None = None
    mail_from: MailFrom = "shop@localhost"
    shop_url: ShopUrl | None = None
    shop_language: Lower[Literal["en", "es"]] = "en"
    staff_mail: MailAddresses = ()
    sms_url: AppriseUrl | None = None
    push_url: AppriseUrl | None = None
    notify_from: Lower[Literal["events", "amqp"]] = "events"
    templates_dir: ExistingFolder | None = None
    rate_limit_calls_authenticated: Count = 1000
    rate_limit_login: Rate = (5, 60)
    rate_limit_login_address: Rate = (20, 60)
    rate_limit_register: Rate = (5, 60)
    rate_limit_refresh: Rate = (30, 60)

    shop_country: Country = "ES"
    shop_timezone: TimeZone = "UTC"
    pay_on_checkout: Boolean = False

    background_workers: Annotated[int, Field(ge=0, le=64)] = 1
    events_days: Annotated[float, Field(gt=0, le=4000)] = 30
    webhooks_allow_insecure: Boolean = False
    webhooks_allow_networks: Networks = ()
    rabbitmq_url: RabbitUrl | None = None
    rabbitmq_exchange: Exchange = "order_events"
    retention_years: Annotated[int, Field(ge=0, le=100)] = 10

    cors_origins: Origins = ()
    cors_credentials: Boolean = False
    security_contact: Contacts = ()
    max_body_bytes: Annotated[ByteSize, Field(ge=1)] = ByteSize(1024 * 1024)

    build_commit: Annotated[str, Field(pattern="^[0-9a-f]{7,64}$")] | None = None
    build_time: AwareDatetime | None = None

    log_level: Upper[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]] = "INFO"
    log_format: Lower[Literal["text", "json"]] = Field(
        default_factory=lambda: "text" if sys.stdout.isatty() else "json"
    )
    access_log: Boolean = True
    log_dir: Folder = Path("logs")
    metrics_dir: Folder | None = None
    sentry_dsn: SentryDsn | None = None
    otel_exporter_otlp_endpoint: Collector | None = None
    otel_exporter_otlp_headers: HeaderPairs = ()
    otel_service_name: Annotated[str, Field(min_length=1, max_length=100)] = "shop"
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _no_credentials_for_any_origin(self) -> "Settings":
        if "*" in self.cors_origins and self.cors_credentials:
            raise ValueError(
                "CORS_ORIGINS=* cannot be combined with CORS_CREDENTIALS=true: name the origins, or drop the credentials"
            )
        return self

    @model_validator(mode="after")
    def _no_queue_without_a_broker(self) -> "Settings":
        if self.notify_from == "amqp" and self.rabbitmq_url is None:
            raise ValueError("NOTIFY_FROM=amqp needs a broker: set RABBITMQ_URL, or NOTIFY_FROM=events")
        return self

    @property
    def outside_database_url(self) -> str | None:
        """The URL of the outside PostgreSQL that the settings name, or None."""
        if self.database_url is not None:
            return self.database_url
        if self.postgres_host is None:
            return None
        password = f":{quote(self.postgres_password, safe='')}" if self.postgres_password else ""
        # A host that is a path is the folder of a Unix socket, which is a parameter of the URL.
        socket = self.postgres_host.startswith("/")
        host = f"[{self.postgres_host}]" if ":" in self.postgres_host else self.postgres_host
        place = f":{self.postgres_port}" if socket else f"{host}:{self.postgres_port}"
        tail = f"?host={quote(self.postgres_host, safe='')}" if socket else ""
        return (
            f"postgresql+psycopg2://{quote(self.postgres_user, safe='')}{password}@"
            f"{place}/{quote(self.postgres_db, safe='')}{tail}"
        )

    @property
    def outside_redis_url(self) -> str | None:
        """The URL of the outside Redis or Valkey that the settings name, or None."""
        if self.redis_url is not None:
            return self.redis_url
        if self.redis_host is None:
            return None
        password = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        if self.redis_host.startswith("/"):
            return f"unix://{password}{quote(self.redis_host)}?db={self.redis_db}"
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{password}{host}:{self.redis_port}/{self.redis_db}"


_PATHS = frozenset({"backup_dir", "data_dir", "log_dir", "metrics_dir", "templates_dir"})


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`, a mapping of variable names to texts. Raises `SettingsError` for an invalid value."""
    return _validated(_with_files(environment))


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return _validated({**_with_files(env_file()), **_with_files(os.environ)})


def export_setting(name: str, text: str) -> None:
    """Put a setting into the environment of this process and its children, in place of the file that it came from, if any."""
    os.environ[name] = text
    os.environ.pop(name + SUFFIX, None)


def _with_files(environment: Mapping[str, str]) -> dict[str, str]:
    try:
        return with_files_read(environment, [name.upper() for name in Settings.model_fields], PROJECT_ROOT)
    except UnusableFile as error:
        raise SettingsError(str(error)) from None


def _validated(environment: Mapping[str, str]) -> Settings:
    given: dict[str, Any] = {}
    for name in Settings.model_fields:
        text = environment.get(name.upper())
        if text is None or (not text.strip() and name != "rate_limit_exempt"):
            continue
        if name not in _PATHS and not _is_unicode(text):
            raise SettingsError(f"{name.upper()} has bytes that are not UTF-8, which only paths may have")
        given[name] = text
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_error_line(error, environment)) from None


def env_file() -> dict[str, str]:
    """The variables of the `.env` file beside main.py, if there is one."""
    try:
        values = dotenv_values(PROJECT_ROOT / ".env")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"The file {PROJECT_ROOT / '.env'} cannot be read ({reason}): mend or remove it") from None
    return {name: value for name, value in values.items() if value is not None}


def _error_line(error: ValidationError, environment: Mapping[str, str]) -> str:
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    variable = str(problem["loc"][0]).upper()
    value = environment.get(variable, "")
    # What stands in a file is there in order not to be shown.
    # The services of Apprise have their keys anywhere in the URL.
    is_secret = "secret" in variable.lower() or variable in ("SMS_URL", "PUSH_URL")
    if is_secret or environment.get(variable + SUFFIX):
        value = "***"
    if "password" in variable.lower() or "url" in variable.lower():
        value = re.sub(r":(?!//).*@", ":***@", value)
    expected = f"it may hold {message}" if problem["type"] == "value_error" else message[:1].lower() + message[1:]
    return f"{variable} holds {value!r}, which cannot be used: {expected}"
