"""HTML by construction: every tag closes, every text and attribute is escaped.

`Html` is a type of its own, so that the type checker refuses raw text where markup is expected. There are
two ways in: `words` for our own sentences, `shown` for everything that came from outside.
"""

from html import escape
from typing import Final, NewType

from pipeline.credentials.text import safe_text

Html = NewType("Html", str)

NOTHING: Final = Html("")
VOID_TAGS: Final = frozenset({"meta", "img"})
SHOWN_CHARS: Final = 600


def words(text: str) -> Html:
    """Our own text, escaped, spaces kept."""
    return Html(escape(text))


def shown(value: object, limit: int = SHOWN_CHARS) -> Html:
    """Text from a file or a service: one line, no controls, no bidi overrides, at most `limit` characters."""
    # Escaping comes last: cleaning must not be able to put markup together.
    return Html(escape(safe_text(value, limit)))


def join(*parts: Html) -> Html:
    """Markup side by side."""
    return Html("".join(parts))


def element(tag: str, *children: Html, **attributes: str | bool | None) -> Html:
    """``<tag …>children</tag>``; `class_` is written class, `aria_label` aria-label.

    An attribute that is True stands alone, one that is False or None is left out.
    """
    opened = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    return Html(opened if tag in VOID_TAGS else f"{opened}{''.join(children)}</{tag}>")


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(value)}"'
