"""Where a URL of PostgreSQL really leads, which is what libpq makes of it: its query, a service, the environment.

In this order they say what was not said before: the URL with its query, the service that it or PGSERVICE names, the
variables PGHOST, PGHOSTADDR and their like, and a Unix socket of this machine where nobody named a host.
"""

import configparser
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_DEFAULT_PORT = "5432"
# With these a certificate may never be shown.
_WITHOUT_TLS = {"disable", "allow"}
# A service that is not found may lead anywhere.
_ANYWHERE = {"host": "an unknown service"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a connection would be made with. Options that nobody has given are not among them."""

    options: Mapping[str, str]

    @property
    def hosts(self) -> list[str]:
        """The hosts, addresses or folders of Unix sockets that are tried in turn; none is this machine's usual socket."""
        addresses, names = (self.options.get(name, "").split(",") for name in ("hostaddr", "host"))
        # An address is where the client connects to, whatever the name beside it says.
        pairs = zip(addresses + [""] * len(names), names + [""] * len(addresses), strict=False)
        return [address or name for address, name in pairs if address or name]

    @property
    def is_local(self) -> bool:
        """Whether all of it is on this machine."""
        return all(map(_is_this_machine, self.hosts))

    @property
    def password(self) -> str:
        """The password, or nothing."""
        return self.options.get("password", "")

    @property
    def has_certificate(self) -> bool:
        """Whether the client shows a certificate: one that is not there is left out by libpq without a word."""
        certificate = self.options.get("sslcert")
        return (
            bool(certificate) and self.options.get("sslmode") not in _WITHOUT_TLS and Path(str(certificate)).is_file()
        )

    @property
    def name(self) -> str:
        """The database as people call it, without its password."""
        user = self.options.get("user")
        database = self.options.get("dbname") or user or "the database of this user"
        where = ", ".join(self.hosts) or "this machine"
        port = "" if where.startswith("/") else f":{self.options.get('port', _DEFAULT_PORT)}"
        return f"{database} on {where}{port}, as {user or 'the account of this user'}"


def target_of(url: str, environment: Mapping[str, str] | None = None) -> Target:
    """Where a connection to `url` leads. Raises `ValueError` or SQLAlchemy's `ArgumentError` for what is no URL."""
    environment = os.environ if environment is None else environment
    address = make_url(url)
    _, given = address.get_dialect()().create_connect_args(address)
    options = {name: _text(value) for name, value in given.items()}
    service = options.get("service") or environment.get("PGSERVICE")
    if service:
        options = _service(service, environment) | options
    inherited = {name: environment[variable] for name, variable in _VARIABLES.items() if environment.get(variable)}
    return Target(inherited | options)


def name_of(url: str) -> str:
    """The database at `url` as people call it, without its password."""
    return target_of(url).name


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _service(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What the service file says of a service."""
    own = environment.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
    folder = environment.get("PGSYSCONFDIR")
    for file in (Path(own), *([Path(folder) / "pg_service.conf"] if folder else [])):
        services = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
        try:
            services.read_string(file.read_text())
        except (OSError, UnicodeError, configparser.Error):
            continue
        if services.has_section(name):
            return dict(services.items(name))
    return _ANYWHERE


def _is_this_machine(host: str) -> bool:
    # A path is the folder of a Unix socket, and so is what begins with @.
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
