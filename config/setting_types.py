"""The types of settings: how the text of a variable is read, and which texts are refused.

A text with one plain meaning is taken in its plain form. An error says what the variable may hold.
"""

import ipaddress
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from config.countries import COUNTRY_TEXT, country_code

# In place of a network: all who come through a Unix socket, and have no address.
UNIX: Literal["unix"] = "unix"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network | Literal["unix"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|)")
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
# The longest number that every program on the way keeps exactly.
_LARGEST_COUNT = 1_000_000_000
_HIGHEST_PORT = 65_535

_A_DAY = 86_400
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_FEWEST_SECRET_BYTES = 32

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_ORIGINS = (
    "origins separated by commas, such as https://shop.example.com (scheme and host, a port where it is not the usual "
    "one, no path), or * for any; names are written out one by one, in ASCII"
)
# In IPv6, IPv4 addresses are the last 32 bits of ::ffff:0:0/96.
_MAPPED_BITS = 96


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip().lower())
    if match is None:
        raise ValueError("a time in seconds, such as 5 or 0.5 or 500ms")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _boolean(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip().lower() not in _BOOLEANS:
        raise ValueError("true or false, or on or off")
    return _BOOLEANS[value.strip().lower()]


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _items(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(item for item in (part.strip() for part in value.split(",")) if item)


def _networks(value: object) -> object:
    items = _items(value)
    if not isinstance(items, tuple):
        return items
    try:
        return tuple(_network(item) for item in items)
    except ValueError:
        raise ValueError("networks separated by commas, such as 10.0.0.0/8,::1, or unix") from None


def _network(item: object) -> Network:
    """The network written as `item`; one of IPv4 addresses written in IPv6 is the IPv4 network, as clients are counted."""
    if str(item).removesuffix(":") == UNIX:
        return UNIX
    network = ipaddress.ip_network(item, strict=False)  # type: ignore[arg-type]  # it refuses what is no text
    if isinstance(network, ipaddress.IPv4Network):
        return network
    written = ipaddress.IPv6Address(str(item).partition("/")[0].partition("%")[0])
    if written.ipv4_mapped is None or network.prefixlen == 0:
        return network
    if network.prefixlen < _MAPPED_BITS:
        raise ValueError("it ends outside of the IPv4 addresses")
    return ipaddress.IPv4Network((written.ipv4_mapped, network.prefixlen - _MAPPED_BITS), strict=False)


def _origins(value: object) -> object:
    items = _items(value)
    return tuple(dict.fromkeys(map(_origin, items))) if isinstance(items, tuple) else items


def _origin(item: str) -> str:
    """The origin as browsers send it: in lower case, without a slash at the end and without the scheme's own port."""
    if item in ("*", "null"):
        return item
    match = _ORIGIN.fullmatch(item.lower())
    if match is None:
        raise ValueError(_ORIGINS)
    scheme, host, digits = match.groups()
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise ValueError(_ORIGINS) from None
    port = _DEFAULT_PORTS.get(scheme) if digits is None else int(digits)
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise ValueError(_ORIGINS)
    return f"{scheme}://{host}" if port == _DEFAULT_PORTS.get(scheme) else f"{scheme}://{host}:{port}"


def _contacts(value: object) -> object:
    items = _items(value)
    if not isinstance(items, tuple):
        return items
    contacts = tuple(f"mailto:{item}" if re.fullmatch(r"[^\s:/@]+@[^\s:/@]+", item) else item for item in items)
    if not all(re.fullmatch(r"(mailto:|https://|tel:)[\x21-\x7e]+", contact) for contact in contacts):
        raise ValueError("e-mail addresses, mailto:, https: or tel: URLs, separated by commas")
    return contacts


def _host(value: object) -> object:
    """A name, an address, or the folder of a Unix socket; of `[::1]` the address."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("/"):
        return text
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        is_host = bool(ipaddress.IPv6Address(text)) if ":" in text else not re.search(r"[\s/\\@?#\[\]]", text)
    except ValueError:
        is_host = False
    if not is_host:
        raise ValueError("the name or the address of a host, without scheme, port and path")
    return text


def _prefix(value: object) -> object:
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if text in ("", "/"):
        return ""
    # What is "." or ".." is gone from the path that clients send.
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+/?", text):
        raise ValueError("a path such as /api/v1, of letters, digits and - . _ ~, without . or .. as a part")
    return text.rstrip("/")


def _exchange(value: str) -> str:
    name = value.strip()
    # Those that begin so belong to the broker.
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,127}", name) or name.startswith("amq."):
        raise ValueError("up to 127 letters, digits and - _ . :, not beginning with amq.")
    return name


def _secret_keys(value: object) -> object:
    items = _items(value)
    if not isinstance(items, tuple):
        return items
    if any(len(item.encode()) < _FEWEST_SECRET_BYTES for item in items):
        raise ValueError(
            f"secrets of at least {_FEWEST_SECRET_BYTES} bytes each, separated by commas, the one that signs first; "
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return items


def _mail_from(value: object) -> object:
    """One address, with or without a name before it."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    message = EmailMessage()
    try:
        message["From"] = text
        (address,) = message["From"].addresses
        # The domain is also in the ids of mails, and what the shop calls itself at the mail server.
        is_usable = not message["From"].defects and bool(address.username) and bool(_DOMAIN.fullmatch(address.domain))
    except (ValueError, IndexError):
        is_usable = False
    if not is_usable or not address.addr_spec.isascii():
        raise ValueError("an e-mail address, such as shop@example.com or Shop <shop@example.com>")
    return text


def _mail_addresses(value: object) -> object:
    items = _items(value)
    if isinstance(items, tuple):
        for item in items:
            try:
                _mail_from(item)
            except ValueError:
                raise ValueError("e-mail addresses, separated by commas, such as ada@example.com") from None
            if "<" in item:
                raise ValueError("e-mail addresses without names, separated by commas, such as ada@example.com")
    return items


def _existing_folder(value: Path) -> Path:
    folder = _folder(value)
    if not folder.is_dir():
        raise ValueError("the path of a folder that is there")
    return folder


def _time_zone(value: str) -> str:
    name = value.strip()
    try:
        if not re.fullmatch(r"[A-Za-z0-9_+/-]+", name):
            raise ZoneInfoNotFoundError
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the IANA name of a time zone, such as Europe/Madrid") from None
    return name


def _country(value: object) -> object:
    if not isinstance(value, str):
        return value
    code = country_code(value.strip())
    if code is None:
        raise ValueError(COUNTRY_TEXT)
    return code


def _rate(value: object) -> object:
    """Calls and seconds, of a text such as 5/60."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([1-9][0-9]{0,8})\s*/\s*([1-9][0-9]{0,4})", value.strip())
    if match is None or int(match[2]) > _A_DAY:
        raise ValueError("calls and seconds, such as 5/60: five calls within sixty seconds, which are at most a day")
    return int(match[1]), int(match[2])


def _redis_prefix(value: str) -> str:
    text = value.strip()
    # Braces mean something in keys, the others in patterns of keys and in lines of an ACL.
    if not re.fullmatch(r"[!-~]{1,64}", text) or re.search(r"[*?\[\]{}\\]", text):
        raise ValueError(r"up to 64 characters of ASCII, such as shop:, without spaces and * ? [ ] { } \ in them")
    return text


def _folder(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("the path of a folder; no user of this name has a home here") from None


T = TypeVar("T")
# `Upper[Literal["A", "B"]]` is one of these texts, in upper or lower case.
Upper = Annotated[T, BeforeValidator(_upper)]
Lower = Annotated[T, BeforeValidator(_lower)]

# PostgreSQL and Redis use milliseconds, and take 0 for "never".
Seconds = Annotated[float, BeforeValidator(_duration), Field(ge=0.001, le=86_400)]
SecondsOrNone = Annotated[float, BeforeValidator(_duration), Field(ge=0)]
WholeSeconds = Annotated[int, BeforeValidator(_duration), Field(ge=1, le=86_400)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Port = Annotated[int, Field(ge=1, le=_HIGHEST_PORT)]
Count = Annotated[int, Field(ge=1, le=_LARGEST_COUNT)]
Folder = Annotated[Path, AfterValidator(_folder)]
ExistingFolder = Annotated[Path, AfterValidator(_existing_folder)]
Host = Annotated[str, BeforeValidator(_host)]
PathPrefix = Annotated[str, BeforeValidator(_prefix)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Contacts = Annotated[tuple[str, ...], BeforeValidator(_contacts)]
RedisPrefix = Annotated[str, AfterValidator(_redis_prefix)]
Exchange = Annotated[str, AfterValidator(_exchange)]
SecretKeys = Annotated[tuple[str, ...], BeforeValidator(_secret_keys)]
MailAddresses = Annotated[tuple[str, ...], BeforeValidator(_mail_addresses)]
MailFrom = Annotated[str, BeforeValidator(_mail_from)]
Country = Annotated[str, BeforeValidator(_country)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
# How many calls within how many seconds.
Rate = Annotated[tuple[int, int], BeforeValidator(_rate)]
