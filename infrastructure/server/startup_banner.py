"""Startup banner: the addresses of the shop, printed when it first responds, and the line printed when it stops."""

import ipaddress
import socket
import sys
from contextlib import suppress

from config.settings import Settings
from infrastructure.mail.mail_folder import mail_folder
from infrastructure.server.health_paths import REPORT


def web_address(host: str, port: int) -> str:
    """`host` and `port` as they stand in a URL; an address that means "all" is shown as the loopback address."""
    try:
        host = connectable(host)
    except ValueError:
        return f"{host}:{port}"
    return f"[{ipaddress.ip_address(host)}]:{port}" if ":" in host else f"{ipaddress.ip_address(host)}:{port}"


def connectable(host: str) -> str:
    """The address that a client on this machine connects to; `host` may be one that means "all"."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def external_address(host: str, port: int) -> str | None:
    """`host` and `port` for other machines, if `host` means "all" and this machine has another address than loopback."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return None
    family, documentation_address = (
        (socket.AF_INET, "192.0.2.1") if address.version == 4 else (socket.AF_INET6, "2001:db8::1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only chooses the address it would send from.
            probe.connect((documentation_address, 9))
        except OSError:
            return None
        own = str(probe.getsockname()[0])
    return None if ipaddress.ip_address(own).is_loopback else web_address(own, port)


def shop_address(listener: socket.socket) -> str:
    """The host and port by which the shop is reached, from other machines if it can be."""
    host, port = listener.getsockname()[:2]
    return external_address(host, port) or web_address(host, port)


def drain_notice(drain_seconds: float, grace_seconds: float) -> str:
    """The line that is printed when the shop is asked to stop."""
    accepted = f"requests are accepted for {drain_seconds:g} s more, and " if drain_seconds else ""
    return f"Stopping: {accepted}those under way may take {grace_seconds:g} s; Ctrl-C, or the signal, once more ends them now"


def say(text: str) -> None:
    """Write to standard output."""
    # A closed terminal or pipe must not stop the shop.
    with suppress(OSError):
        sys.stdout.write(text)
        sys.stdout.flush()


def startup_banner(settings: Settings, address: str, external: str | None) -> str:
    """The lines with the URLs of the shop at `address`, for a terminal."""
    shop, prefix = f"http://{address}", settings.api_prefix
    lines = [f"API     {shop}{prefix}"]
    if settings.docs:
        lines.append(f"Docs    {shop}/docs")
    lines.append(f"Health  {shop}{REPORT}")
    if external:
        lines.append(f"        http://{external}{prefix} for other machines, if nothing is in the way")
    return "".join(f"{line}\n" for line in (*lines, *_notices(settings)))


def startup_lines(settings: Settings, address: str, external: str | None) -> str:
    """What production prints instead of the banner."""
    prefix = settings.api_prefix
    others = f", for other machines on http://{external}{prefix}," if external else ""
    serving = f"The shop serves on http://{address}{prefix}{others} with {settings.uvicorn_workers} workers"
    return "".join(f"{line}\n" for line in (serving, *_notices(settings)))


def _notices(settings: Settings) -> list[str]:
    """What an operator should know of these settings."""
    notices = [] if settings.auth else ["AUTH=off: every caller may do everything"]
    if settings.smtp_url is None:
        notices.append(f"Mails are files in {mail_folder(settings)}: SMTP_URL is not set")
    return notices
