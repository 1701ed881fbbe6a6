"""The transparency page: the registry in numbers, as tables and as charts that the server drew."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from pipeline.api.state import Here
from pipeline.types import Verdict
from pipeline.web.rendering import page
from registry import log
from registry.db import read
from registry.statistics import Statistics

MONTHS: Final = 12  # that are drawn
HEIGHT: Final = 40.0  # of the tallest bar, in units of the drawing
WIDE: Final = 8.0
STRIDE: Final = 11.0
ORDER: Final = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a bar: its verdict, and where it is drawn."""

    verdict: str
    top: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The decisions of a month."""

    month: str
    left: float
    counts: tuple[int, ...]
    pieces: tuple[Piece, ...]


@router.get("/transparency")
def get_numbers(here: Here) -> Response:
    """What was decided, and how often that was wrong."""
    found = here.counted.now()
    with read(here.app.engine) as conn:
        note = log.latest(conn)
    return page(
        here, "transparency.html", found=found, bars=bars(found), order=[str(one) for one in ORDER],
        drawn=(HEIGHT, STRIDE * max(1, min(MONTHS, len(found.decisions))), WIDE), note=note,
        key=here.app.log_vkey, vain=_words(found.held_in_vain), overturned=_words(found.overturned),
        granted=_words(found.appeals_granted),
    )  # fmt: skip


def bars(found: Statistics) -> list[Bar]:
    """The last months, each as a bar of its verdicts, the tallest `HEIGHT` high."""
    months = sorted(found.decisions)[-MONTHS:]
    most = max((sum(found.decisions[month].values()) for month in months), default=0)
    made = []
    for number, month in enumerate(months):
        counts = tuple(found.decisions[month].get(verdict, 0) for verdict in ORDER)
        pieces, top = [], HEIGHT
        for verdict, count in zip(ORDER, counts, strict=True):
            height = HEIGHT * count / most
            top -= height
            if count:
                pieces.append(Piece(verdict=str(verdict), top=round(top, 3), height=round(height, 3)))
        made.append(Bar(month=month, left=STRIDE * number, counts=counts, pieces=tuple(pieces)))
    return made


def _words(share: tuple[int, int]) -> str:
    """A share in words; nothing is said of what nobody decided."""
    count, of = share
    return f"{count} of {of} ({count / of:.0%})" if of else "none decided yet"
