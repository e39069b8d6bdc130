"""The end of the socket that all workers accept on: nobody who reached it is reset, nobody else gets in."""

import ctypes
import socket
import struct
import sys

_SO_ATTACH_FILTER = 26
# One instruction of Linux's packet filter: return 0, which drops the packet.
_DROP_EVERYTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


def turn_newcomers_away(listener: socket.socket) -> None:
    """Have the kernel ignore whoever asks for a new connection, while those who have one already are served.

    Closing the socket resets all who queue at it, and there is always somebody who has just come: so the door is
    shut first, and the workers close the socket when the queue has run dry. A client that is ignored asks again
    by itself a second later, and then it is refused. Only Linux has this; elsewhere the last may be reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_DROP_EVERYTHING, len(_DROP_EVERYTHING))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
