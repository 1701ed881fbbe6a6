"""How every page is made: templates that escape all, one style sheet, a strict policy, errors in words."""

import base64
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from pipeline.api import problems
from pipeline.api.state import Service
from pipeline.credentials.text import safe_text
from pipeline.errors import RequestMalformed
from pipeline.verify import html_style

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
FOREVER: Final = "public, max-age=31536000, immutable"
SAME_SITE: Final = ("same-origin", "none")
STYLE: Final = html_style.STYLE + "".join(
    files("pipeline.web").joinpath(name).read_text(encoding="utf-8")
    for name in ("style.css", "console.css", "portal.css", "checking.css")
)
STYLE_PATH: Final = f"/static/{hashlib.sha256(STYLE.encode()).hexdigest()[:16]}.css"

router = APIRouter(include_in_schema=False)

_templates = Environment(
    loader=PackageLoader("pipeline.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
_templates.filters["capital"] = lambda text: text[:1].upper() + text[1:]
_in_pieces = _templates.overlay(enable_async=True)


@router.get(STYLE_PATH)
def get_style() -> Response:
    """The style sheet; another one has another name."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": FOREVER})


def page(
    here: Service,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page from a template and its values."""
    text = _templates.get_template(template).render(service=here.settings.service, style=STYLE_PATH, **values)
    return HTMLResponse(text, status, {"Content-Security-Policy": POLICY, **(headers or {})})


async def pieces(here: Service, template: str, **values: Any) -> AsyncGenerator[str]:
    """The same, piece by piece, for who sends a page while it comes about.

    Values may be asynchronous: a loop over such an iterator ends when that ends, and everything before the
    loop was given out when it is asked for its first item.
    """
    made = _in_pieces.get_template(template)
    async with aclosing(
        made.generate_async(service=here.settings.service, style=STYLE_PATH, **values)
    ) as parts:
        async for part in parts:
            yield part


def failed(here: Service, template: str, error: Exception, **values: Any) -> Response:
    """The page again, with what went wrong as ``error``."""
    told, sentence = problems.told_of(error), sentence_of(error)
    headers = {"Retry-After": str(problems.RETRY_SECONDS)} if told.http_status == 503 else {}
    return page(here, template, status=told.http_status, headers=headers, error=sentence, **values)


def sentence_of(error: Exception) -> str:
    """An error as a sentence for a person."""
    first, _, rest = problems.told_of(error).message.rstrip(".").partition(" ")
    # Names of files keep their letters.
    begun = first.capitalize() if first.islower() and first.isalpha() else first
    return safe_text(f"{begun} {rest}.", 500)


def refreshing(seconds: int) -> dict[str, str]:
    """Headers of a page that looks again by itself, and has a link that stops it (WCAG 2.2.2); 0: none."""
    return {"Refresh": str(seconds)} if seconds else {}


def size_words(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 1024**2:.0f} MiB"


def download(kind: str, text: str) -> str:
    """An address that holds a file itself, so that nothing has to be kept for it."""
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


def same_site(request: Request) -> None:
    """A form on another site may not post here on somebody's behalf. Raises: RequestMalformed."""
    if request.headers.get("sec-fetch-site", "none") not in SAME_SITE:
        raise RequestMalformed("this form was sent from another site; open the page here and send it again")
