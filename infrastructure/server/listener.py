"""Listening socket: bound by the launcher, shared by all workers, and closed so that no client that has connected is reset."""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

from config.settings import Settings, SettingsError
from infrastructure.server.startup_banner import web_address

_SO_ATTACH_FILTER = 26
# One instruction of Linux's packet filter: return 0, which drops the packet.
_DROP_EVERYTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class CannotListen(SettingsError):
    """This process cannot listen on API_HOST and API_PORT."""


def bound_socket(settings: Settings) -> socket.socket:
    """A socket on API_HOST and API_PORT, which refuses connections until `listen`. Raises `CannotListen`."""
    try:
        found = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # "localhost" may be both 127.0.0.1 and ::1; more clients try the first than the second alone.
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(settings, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(settings, error) from None
    return listener


def listen(settings: Settings, listener: socket.socket) -> None:
    """Accept connections from now on. Raises `CannotListen`."""
    try:
        listener.listen(settings.backlog)
    except OSError as error:  # Another process that started at the same time was first.
        raise _cannot_listen(settings, error) from None


def _cannot_listen(settings: Settings, error: Exception) -> CannotListen:
    reason = getattr(error, "strerror", None) or "not the name of a host"
    address = web_address(str(settings.api_host), settings.api_port)
    return CannotListen(f"The shop cannot listen on {address} ({reason}): set API_HOST or API_PORT to a free address")


def drop_new_connections(listener: socket.socket) -> None:
    """Have the kernel ignore new connections, while those in the queue are still served.

    Closing the socket resets all connections in its queue, and a busy queue is never empty. So new connections are
    dropped first, and the workers close the socket when the queue is empty. A client whose connection is dropped tries
    again a second later, and is then refused. Only Linux has this, and some kernels and sandboxes keep it from whoever is
    not root: then the queue is made as short as can be, and the last connection may be reset.
    """
    with suppress(OSError):
        if sys.platform == "linux":
            program = ctypes.create_string_buffer(_DROP_EVERYTHING, len(_DROP_EVERYTHING))
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
            return
    with suppress(OSError):
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.listen(0)
