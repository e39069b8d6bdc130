"""The end of the listening socket: who has connected is served, where the kernel lets the shop drop new ones and where not."""

import ctypes
import socket
import struct
import sys

import pytest

from infrastructure.server.listener import drop_new_connections

pytestmark = [pytest.mark.unit, pytest.mark.skipif(sys.platform != "linux", reason="packet filters are Linux's")]

_SO_ATTACH_FILTER, _SO_LOCK_FILTER = 26, 44
# "Return the whole packet."
_TAKE_EVERYTHING = struct.pack("HBBI", 0x06, 0, 0, 0xFFFFFFFF)


def forbid_filters(listener: socket.socket) -> None:
    """Have the kernel refuse filters for this socket with EPERM, as sandboxes do for all."""
    program = ctypes.create_string_buffer(_TAKE_EVERYTHING, len(_TAKE_EVERYTHING))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
    listener.setsockopt(socket.SOL_SOCKET, _SO_LOCK_FILTER, 1)


@pytest.mark.parametrize("forbidden", [False, True])
def test_who_is_in_the_queue_is_served(forbidden: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=10) as listener:
        if forbidden:
            try:
                forbid_filters(listener)
            except PermissionError:
                pytest.skip("nobody may have filters here")
        clients = [socket.create_connection(listener.getsockname(), timeout=60) for _ in range(3)]
        drop_new_connections(listener)
        late = [socket.socket() for _ in range(2)]
        for client in late:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        for client in clients:
            accepted, _ = listener.accept()
            accepted.sendall(b"served")
            assert client.recv(10) == b"served"
            accepted.close()
            client.close()
        for client in late:
            client.close()


@pytest.mark.parametrize("closed", [False, True])
def test_a_socket_that_does_not_listen_stays_as_it_is(closed: bool) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if closed:
            listener.close()
        drop_new_connections(listener)
        assert closed or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
