"""Rendered responses: bytes that are ready to be sent, and their forms in content codings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from infrastructure.cache.single_flight import SingleFlight
from infrastructure.server.content_coding import QUICK_BYTES, SMALL_BYTES, compressed, compressed_now, is_text, tag_in
from infrastructure.server.header_lines import HeaderBlock
from infrastructure.server.media_types import JSON

# Headers of the body, which 304 does not repeat.
_ABOUT_THE_BODY = (b"content-type", b"content-encoding")


class CodedBodies:
    """A body in content codings, each made when it is first needed, and once for all requests that need it.

    `on_growth` is called when a coding was made; whoever caches the body sets it. `size` is in bytes.
    """

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}
        self._flights: SingleFlight | None = None
        self.on_growth: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self._made.values()))

    def get(self, coding: str, body: bytes) -> bytes | None:
        """`body` in this coding; None if it has yet to be made, and is too large for the event loop."""
        made = self._made.get(coding)
        if made is None and len(body) <= QUICK_BYTES:
            made = self._keep(coding, compressed_now(body, coding))
        return made

    async def make(self, coding: str, body: bytes) -> bytes:
        """`body` in this coding, made in a thread if need be."""
        made = self.get(coding, body)
        if made is None:
            flights = self._flights = self._flights or SingleFlight()
            made = await flights.result(coding, lambda: self._make(coding, body))
        return made

    async def _make(self, coding: str, body: bytes) -> bytes:
        return self._keep(coding, await compressed(body, coding))

    def _keep(self, coding: str, made: bytes) -> bytes:
        self._made[coding] = made
        if self.on_growth is not None:
            self.on_growth()
        return made


@dataclass(frozen=True)
class RenderedResponse:
    """A rendered response: the bytes of its body, its entity tag, and the headers that belong to them.

    `complete_to` is the key of its last row when rows with larger keys cannot change it. `snapshot` is PostgreSQL's snapshot
    of an exact count (`infrastructure.cache.growing_count`). Responses with the same body may share its `coded` forms.
    """

    body: bytes
    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    complete_to: int | None = None
    snapshot: str | None = None
    coded: CodedBodies = field(default_factory=CodedBodies, compare=False, repr=False)

    @cached_property
    def varies(self) -> bool:
        """Whether it is compressed for clients that accept that."""
        return len(self.body) > SMALL_BYTES and is_text(self.headers.get("Content-Type", JSON))

    @cached_property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that belong to the response for every client, as they are sent."""
        named = {"Content-Type": JSON, "ETag": self.etag, **self.headers}
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]

    @cached_property
    def headers_of_200(self) -> HeaderBlock:
        """The same with the length of the body."""
        return HeaderBlock([*self.raw_headers, (b"content-length", b"%d" % len(self.body))])

    @cached_property
    def headers_of_304(self) -> HeaderBlock:
        """The same for a client that has the body already."""
        return HeaderBlock(header for header in self.raw_headers if header[0] not in _ABOUT_THE_BODY)

    # -- its forms in content codings; `coding` is None for the response as it is --------------------

    @cached_property
    def _forms(self) -> dict[str, "RenderedResponse"]:
        return {}

    def form(self, coding: str | None) -> "RenderedResponse | None":
        """The response in this coding; None if it has yet to be made, and is too large for the event loop."""
        if coding is None:
            return self
        form = self._forms.get(coding)
        if form is None:
            body = self.coded.get(coding, self.body)
            form = None if body is None else self._in_coding(coding, body)
        return form

    async def make_form(self, coding: str | None) -> "RenderedResponse":
        """The response in this coding. Making it does not block the event loop, however large the body is."""
        form = self.form(coding)
        if form is None:
            assert coding is not None
            form = self._in_coding(coding, await self.coded.make(coding, self.body))
        return form

    def form_without_body(self, coding: str | None) -> "RenderedResponse":
        """The response in this coding for a client that has the body: nothing is compressed."""
        if coding is None:
            return self
        return self._forms.get(coding) or RenderedResponse(b"", tag_in(coding, self.etag), self.headers)

    def _in_coding(self, coding: str, body: bytes) -> "RenderedResponse":
        headers = {**self.headers, "Content-Encoding": coding}
        form = self._forms[coding] = RenderedResponse(body, tag_in(coding, self.etag), headers)
        return form
