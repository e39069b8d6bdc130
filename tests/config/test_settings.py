"""What each variable may hold, what it means, and the one line that refuses anything else."""

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import PROJECT_ROOT, Settings, SettingsError, read_settings

pytestmark = pytest.mark.unit

REFUSED = [
    ("DATABASE_URL", "mysql://host/shop", "postgresql://"),
    ("DATABASE_URL", "host/shop", "postgresql://"),
    ("POSTGRES_PORT", "0", "greater than or equal to 1"),
    ("POSTGRES_PORT", "65536", "less than or equal to 65535"),
    ("POSTGRES_PORT", "five", "integer"),
    ("DB_POOL_SIZE", "0", "greater than or equal to 1"),
    ("DB_POOL_SIZE", "1.5", "integer"),
    ("DB_MAX_OVERFLOW", "-1", "greater than or equal to 0"),
    ("DB_POOL_TIMEOUT", "soon", "a time in seconds"),
    ("DB_POOL_RECYCLE", "0", "greater than or equal to 0.001"),
    ("DB_STATEMENT_TIMEOUT", "1h", "a time in seconds"),
    ("DB_STATEMENT_TIMEOUT", "0.4ms", "greater than or equal to 0.001"),
    ("DB_LOCK_TIMEOUT", "nan", "a time in seconds"),
    ("DB_ECHO", "maybe", "true or false"),
    ("REDIS_URL", "http://host", "redis://"),
    ("REDIS_PORT", "-1", "greater than or equal to 1"),
    ("REDIS_DB", "-1", "greater than or equal to 0"),
    *[
        ("REDIS_PREFIX", held, "such as shop:")
        for held in ("a b", "a\tb", "shop:*", "sh?p", "[s]hop", "{shop}", "sh\\op", "läden:", "\x7f", "s" * 65)
    ],
    ("REDIS_ENABLED", "2", "true or false"),
    ("REDIS_CACHE_TTL", "-5", "a time in seconds"),
    ("REDIS_MAX_CONNECTIONS", "0", "greater than or equal to 1"),
    ("EMBEDDED", "perhaps", "true or false"),
    *[("CURRENCY", held, "ISO 4217") for held in ("Euro", "EU", "€", "XXX", "XAU", "978")],
    *[("CURRENCY", held, f"{held.upper()} has three") for held in ("BHD", "IQD", "JOD", "kwd", "LYD", "OMR", "TND")],
    *[("CURRENCY", held, f"{held} has no") for held in ("JPY", "KRW", "CLP", "XOF")],
    ("CURRENCY", "CLF", "CLF has four"),
    ("ALLOW_INSECURE", "ja", "true or false"),
    ("API_PORT", "http", "integer"),
    ("API_PREFIX", "api/v1", "a path such as /api/v1"),
    *[
        ("API_PREFIX", held, "a path such as /api/v1")
        for held in (
            "/a b",
            "/api/../x",
            "/..",
            "/./x",
            "/x/.",
            "//x",
            "/x//",
            "/api?x",
            "/api#x",
            "/%61pi",
            "/{x}",
            "/a\\b",
        )
    ],
    ("API_HOST", "http://127.0.0.1", "without scheme, port and path"),
    ("API_HOST", "127.0.0.1:8000", "without scheme, port and path"),
    ("POSTGRES_HOST", "db:5432", "without scheme, port and path"),
    ("POSTGRES_HOST", "user@db", "without scheme, port and path"),
    ("POSTGRES_HOST", "db/shop", "without scheme, port and path"),
    ("REDIS_HOST", "redis://cache", "without scheme, port and path"),
    ("REDIS_HOST", "cache:6379", "without scheme, port and path"),
    ("DATA_DIR", "~nobody-has-this-name/data", "the path of a folder"),
    ("LOG_DIR", "~nobody-has-this-name", "the path of a folder"),
    ("RATE_LIMIT_CALLS", "1000000001", "less than or equal to"),
    ("UVICORN_WORKERS", "0", "greater than or equal to 1"),
    ("BACKLOG", "0", "greater than or equal to 1"),
    ("BACKLOG", "99999999999", "less than or equal to 65535"),
    ("TIMEOUT_KEEP_ALIVE", "inf", "a time in seconds"),
    ("LIMIT_CONCURRENCY", "none", "integer"),
    ("LIMIT_MAX_REQUESTS", "0", "greater than or equal to 1"),
    ("RELOAD", "always", "true or false"),
    ("DRAIN_SECONDS", "-1", "a time in seconds"),
    ("RATE_LIMIT_ENABLED", "?", "true or false"),
    ("RATE_LIMIT_CALLS", "0", "greater than or equal to 1"),
    ("RATE_LIMIT_PERIOD", "500ms", "integer"),
    ("RATE_LIMIT_EXEMPT", "localhost", "networks separated by commas"),
    *[
        ("TRUSTED_PROXIES", held, "networks separated by commas")
        for held in (
            "10.0.0.0/33",
            "10.0.0.1:80",
            "10.0.0.1/",
            "10.0.0.1 10.0.0.2",
            "10.0.0.1;10.0.0.2",
            "010.0.0.1",
            "10.0.0",
            "*",
            "::ffff:10.0.0.1/64",
            "::ffff:10.0.0.1/129",
            "[::1]",
            "http://10.0.0.1",
        )
    ],
    ("CORS_CREDENTIALS", "*", "true or false"),
    *[
        ("CORS_ORIGINS", held, "origins separated by commas, such as https://shop.example.com")
        for held in (
            "shop.example.com",
            "https://*.example.com",
            "https://good.example, //shop.example.com",
            "https://shop.example.com/app",
            "https://shop.example.com//",
            "https://shop.example.com?x",
            "https://shop.example.com#x",
            "https://somebody@shop.example.com",
            "https://shop.example.com:0",
            "https://shop.example.com:65536",
            "https://shop.example.com:",
            "https://shop example.com",
            "https://b\u00fccher.example",
            "https://",
            "https://[::1",
            "https://[::g]",
            "https:shop.example.com",
            "**",
        )
    ],
    ("SECURITY_CONTACT", "http://example.com", "e-mail addresses"),
    ("SECURITY_CONTACT", "somebody", "e-mail addresses"),
    *[
        ("SHOP_COUNTRY", held, "two letters (ISO 3166-1), such as ES")
        for held in ("UK", "XX", "ESP", "Spain", "E", "0", "\u00df", "\ufb01")
    ],
    *[
        ("SHOP_TIMEZONE", held, "IANA name of a time zone")
        for held in ("Madrid", "Mars/Olympus_Mons", "../UTC", "UTC; --")
    ],
    ("MAX_BODY_BYTES", "0", "greater than or equal to 1"),
    ("MAX_BODY_BYTES", "big", "byte"),
    ("LOG_LEVEL", "LOUD", "'INFO'"),
    ("LOG_FORMAT", "xml", "'text' or 'json'"),
    ("ACCESS_LOG", "x", "true or false"),
]


@pytest.mark.parametrize(("variable", "held", "may_hold"), REFUSED)
def test_a_refusal_names_variable_value_and_remedy_in_one_line(variable: str, held: str, may_hold: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({variable: held})
    line = str(error.value)
    assert line.startswith(f"{variable} holds {held!r}")
    assert may_hold in line
    assert "\n" not in line


@given(st.sampled_from(["DB_POOL_SIZE", "API_PREFIX", "LOG_LEVEL", "TRUSTED_PROXIES", "DB_ECHO"]), st.text())
def test_any_text_is_read_or_refused_in_one_line(variable: str, held: str) -> None:
    try:
        read_settings({variable: held})
        return
    except SettingsError as error:
        line = str(error)
    assert line.startswith(f"{variable} holds ")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize("url", ["http://u:s3cret@host", "http://u:s3@cret@host", "u:s3cret@host", "http://:s3cret@h"])
def test_a_refused_url_is_shown_without_its_password(variable: str, url: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({variable: url})
    assert "cret" not in str(error.value)


def test_any_origin_with_credentials_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS=\*.*CORS_CREDENTIALS"):
        read_settings({"CORS_ORIGINS": "https://a.example, *", "CORS_CREDENTIALS": "true"})
    assert read_settings({"CORS_ORIGINS": "*"}).cors_origins == ("*",)


@pytest.mark.parametrize("variable", sorted(Settings.model_fields))
def test_an_empty_variable_is_one_that_is_not_set(variable: str) -> None:
    if variable == "rate_limit_exempt":
        assert read_settings({}).rate_limit_exempt is None
        assert read_settings({"RATE_LIMIT_EXEMPT": ""}).rate_limit_exempt == ()
    else:
        assert read_settings({variable.upper(): " "}) == read_settings({})


def test_the_defaults_are_the_documented_ones() -> None:
    settings = read_settings({})
    assert (settings.postgres_port, settings.postgres_db, settings.postgres_user) == (5432, "postgres", "postgres")
    assert (settings.db_max_overflow, settings.db_pool_timeout, settings.db_pool_recycle) == (10, 2, 3600)
    assert (settings.db_statement_timeout, settings.db_lock_timeout, settings.db_echo) == (5, 3, False)
    assert (settings.redis_port, settings.redis_db, settings.redis_enabled) == (6379, 0, True)
    assert (settings.redis_cache_ttl, settings.redis_max_connections) == (300, 50)
    assert (settings.embedded, settings.allow_insecure, settings.data_dir) == (None, False, Path(".data"))
    assert (settings.api_host, settings.api_port, settings.api_prefix) == (None, 8000, "")
    assert (settings.backlog, settings.timeout_keep_alive, settings.limit_concurrency) == (2048, 5, 1000)
    assert settings.uvicorn_workers == len(os.sched_getaffinity(0))
    assert (settings.limit_max_requests, settings.reload, settings.drain_seconds) == (None, False, 2)
    assert (settings.rate_limit_enabled, settings.rate_limit_calls, settings.rate_limit_period) == (True, 100, 60)
    assert (settings.rate_limit_exempt, settings.trusted_proxies) == (None, ())
    assert (settings.cors_origins, settings.cors_credentials, settings.max_body_bytes) == ((), False, 1024 * 1024)
    assert (settings.log_level, settings.access_log, settings.log_dir) == ("INFO", True, Path("logs"))


@given(st.integers(1, 86_400_000))
def test_a_time_may_be_in_seconds_or_milliseconds(milliseconds: int) -> None:
    spellings = [f"{milliseconds}ms", f"{milliseconds} MS", f"{milliseconds / 1000:.3f}", f"{milliseconds / 1000:.3f}s"]
    for held in spellings:
        assert read_settings({"DB_LOCK_TIMEOUT": held}).db_lock_timeout == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("held", ["true", "TRUE", "1", "yes", "On"])
def test_spellings_of_true(held: str) -> None:
    assert read_settings({"DB_ECHO": held}).db_echo is True


@pytest.mark.parametrize("held", ["false", "False", "0", "no", "OFF"])
def test_spellings_of_false(held: str) -> None:
    assert read_settings({"REDIS_ENABLED": held}).redis_enabled is False


def test_other_spellings() -> None:
    assert read_settings({"LOG_LEVEL": "warning"}).log_level == "WARNING"
    assert read_settings({"LOG_FORMAT": "JSON"}).log_format == "json"
    assert read_settings({"MAX_BODY_BYTES": "2MiB"}).max_body_bytes == 2 * 1024 * 1024
    assert read_settings({"API_PREFIX": "/"}).api_prefix == ""
    assert read_settings({"API_PREFIX": "/api/v1/"}).api_prefix == "/api/v1"
    assert read_settings({"API_PREFIX": " /.well-known/a..b/ "}).api_prefix == "/.well-known/a..b"
    assert read_settings({"POSTGRES_HOST": "[::1] "}).postgres_host == "::1"
    assert read_settings({"LOG_DIR": "~/logs"}).log_dir == Path.home() / "logs"
    networks = read_settings({"TRUSTED_PROXIES": "10.1.2.3/8, ::1"}).trusted_proxies
    assert networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert read_settings({"TRUSTED_PROXIES": "unix"}).trusted_proxies == ("unix",)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::FFFF:a00:1", "10.0.0.1/32"),
        ("0:0:0:0:0:ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("10.1.2.3/255.0.0.0", "10.0.0.0/8"),
        ("::/0", "::/0"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::1%eth0/128"),
    ],
)
@pytest.mark.parametrize("variable", ["TRUSTED_PROXIES", "RATE_LIMIT_EXEMPT"])
def test_a_network_is_the_one_that_clients_are_counted_in(variable: str, written: str, meant: str) -> None:
    assert getattr(read_settings({variable: written}), variable.lower()) == (ipaddress.ip_network(meant),)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://shop.example.com/", "https://shop.example.com"),
        ("HTTPS://Shop.Example.COM", "https://shop.example.com"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("http://shop.example.com:080/", "http://shop.example.com"),
        ("https://shop.example.com:80", "https://shop.example.com:80"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(written: str, meant: str) -> None:
    assert read_settings({"CORS_ORIGINS": f" {written} , {meant}"}).cors_origins == (meant,)


@pytest.mark.parametrize("variable", ["POSTGRES_USER", "REDIS_PASSWORD", "API_HOST", "CORS_ORIGINS"])
def test_bytes_that_are_no_text_are_refused(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} has bytes that are not UTF-8"):
        read_settings({variable: os.fsdecode(b"caf\xe9")})


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"DATABASE_URL": "postgres://u:p@h/d"}, "postgresql+psycopg2://u:p@h/d"),
        ({"DATABASE_URL": "postgresql://u:p@h/d"}, "postgresql+psycopg2://u:p@h/d"),
        ({"DATABASE_URL": "postgresql+psycopg2://h/d", "POSTGRES_HOST": "x"}, "postgresql+psycopg2://h/d"),
        ({"POSTGRES_HOST": "h"}, "postgresql+psycopg2://postgres@h:5432/postgres"),
        (
            {"POSTGRES_HOST": "h", "POSTGRES_USER": "a b", "POSTGRES_PASSWORD": "p@:/ss", "POSTGRES_DB": "d/e"},
            "postgresql+psycopg2://a%20b:p%40%3A%2Fss@h:5432/d%2Fe",
        ),
        ({"POSTGRES_HOST": "::1", "POSTGRES_PORT": "5"}, "postgresql+psycopg2://postgres@[::1]:5/postgres"),
        ({"POSTGRES_HOST": "/run/pg"}, "postgresql+psycopg2://postgres@:5432/postgres?host=%2Frun%2Fpg"),
        ({"POSTGRES_PASSWORD": "alone"}, None),
    ],
)
def test_the_outside_database(environment: dict[str, str], url: str | None) -> None:
    assert read_settings(environment).outside_database_url == url


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"REDIS_URL": "rediss://h/1", "REDIS_HOST": "x"}, "rediss://h/1"),
        ({"REDIS_HOST": "/run/redis.sock", "REDIS_DB": "2"}, "unix:///run/redis.sock?db=2"),
        ({"REDIS_HOST": "/run/redis.sock", "REDIS_PASSWORD": "p@ss"}, "unix://:p%40ss@/run/redis.sock?db=0"),
        ({"REDIS_HOST": "h"}, "redis://h:6379/0"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "1", "REDIS_DB": "2"}, "redis://[::1]:1/2"),
        ({"REDIS_HOST": "h", "REDIS_PASSWORD": "p@ss"}, "redis://:p%40ss@h:6379/0"),
    ],
)
def test_the_outside_redis(environment: dict[str, str], url: str | None) -> None:
    assert read_settings(environment).outside_redis_url == url


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings({}).api_port = 1  # type: ignore[misc]  # that it cannot be is what is tested


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    program = (
        "import sys, config.settings as s; from pathlib import Path; s.PROJECT_ROOT = Path(sys.argv[1]); "
        "found = s.get_settings(); print(found.api_port, found.log_level, found.db_pool_size)"
    )
    (tmp_path / ".env").write_text("API_PORT=1111\nLOG_LEVEL=error\nDB_POOL_SIZE=\n")
    shown = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=PROJECT_ROOT,
        env={"PATH": os.defpath, "API_PORT": "2222"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == ["2222", "ERROR", "6"]
