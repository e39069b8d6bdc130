"""Templates: texts of mails and short messages, of Jinja2 files for each language.

A file of `TEMPLATES_DIR` stands for the file of the same name of the shop. Of a mail there is one file for each language,
whose blocks the layouts `layout.txt` and `layout.html` put in their places: so the text and the HTML say the same.
"""

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_currency
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

_OURS = Path(__file__).parent / "templates"
_COLUMNS = 78
_GAPS = re.compile(r"\n{3,}")
_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says: one line of subject, and the same as text and as HTML."""

    subject: str
    text: str
    html: str


class Templates:
    """The templates of the shop, each first looked for in `folder`. Values that are texts are put into HTML escaped."""

    def __init__(self, folder: Path | None = None) -> None:
        self._text = _environment(folder, is_html=False)
        self._html = _environment(folder, is_html=True)

    def mail(self, name: str, language: str, values: Mapping[str, Any]) -> Content:
        """The mail with this name. Raises errors of Jinja2 for a template, or a value, that is missing or wrong."""
        text, html = (_load(environment, name, language) for environment in (self._text, self._html))
        of_text = _context(self._text, language, "layout.txt", values)
        of_html = _context(self._html, language, "layout.html", values)
        plain = _GAPS.sub("\n\n", text.render(of_text)).strip()
        return Content(_block(text, "subject", of_text), f"{plain}\n", html.render(of_html))

    def short(self, name: str, language: str, values: Mapping[str, Any]) -> tuple[str, str]:
        """The title and the text of a short message, each in one line."""
        template = _load(self._text, name, language)
        context = _context(self._text, language, "layout.txt", values)
        return _block(template, "subject", context), _block(template, "short", context)


def _environment(folder: Path | None, *, is_html: bool) -> Environment:
    folders = [_OURS] if folder is None else [folder, _OURS]
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(one) for one in folders]),
        autoescape=is_html,  # noqa: S701 (a text is no HTML)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = _paragraphs if is_html else _filled
    return environment


def _load(environment: Environment, name: str, language: str) -> Template:
    return environment.get_template(f"{language}/{name}.jinja")


def _context(environment: Environment, language: str, layout: str, values: Mapping[str, Any]) -> dict[str, Any]:
    words = environment.get_template(f"{language}/words.jinja").module
    formats: dict[str, Callable[..., str]] = {
        "money": partial(_money, language=language),
        "moment": partial(_moment, language=language),
    }
    return {"language": language, "layout": layout, "words": words, **formats, **values}


def _block(template: Template, block: str, values: Mapping[str, Any]) -> str:
    """A block of the template in one line. Raises `KeyError` where it has none."""
    blocks = template.blocks[block](template.new_context(dict(values)))
    return " ".join("".join(blocks).split())


def _money(amount: Decimal | int | float, currency: str, *, language: str) -> str:
    return format_currency(Decimal(str(amount)), currency, locale=language)


def _moment(moment: datetime, *, language: str) -> str:
    return format_datetime(moment, "long", locale=language)


def _paragraphs(text: str) -> Markup:
    """Paragraphs of HTML. `text` is HTML already, with blank lines between them."""
    paragraphs = (part.strip() for part in _BLANK_LINES.split(text))
    return Markup("\n").join(Markup(f"<p>{part}</p>") for part in paragraphs if part)  # noqa: S704 (it is escaped)


def _filled(text: str) -> str:
    """The paragraphs with lines of one width; a long word, such as a link, stays whole."""
    fill = partial(textwrap.fill, width=_COLUMNS, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join(fill(" ".join(part.split())) for part in _BLANK_LINES.split(text) if part.strip())
