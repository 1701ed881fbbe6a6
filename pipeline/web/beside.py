"""A finding beside what it was compared with: the frame with its box, and what is registered.

Of registered pictures only digest, size, file name and measured numbers are kept (ADR 0010), so that there is
no picture to show: what its holder wrote about it stands there instead, and that it is so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline import policy as policies
from pipeline.optouts.desk import Desk
from pipeline.web.findings import Picture, Reasons, Strip, evidence_of
from registry.errors import NotFound
from registry.subject_types import ReferenceRow, SubjectRecord

SPELT: Final = (policies.NAMES, policies.WORDS)
"""Checks that compare with a spelling, which is the finding's reference."""
MAX_WORDS: Final = 8  # attributes, and what is not meant, that are told of a subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A subject as a reviewer sees it. ``spelling``: the registered one that was compared with; ``picture``
    and ``size``: file name and pixels of the picture, empty where none was compared with, or it is not in
    force any more; ``pictures``: how many there are, ``against``: of what is not meant.
    """

    name: str
    owner: str
    kind: str
    died_on: str
    standing: str
    spelling: str
    picture: str
    size: str
    pictures: int
    against: int
    description: str
    attributes: tuple[str, ...]
    exclusions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """``first``: the number of the first finding about the same subject; ``frame``: where it was seen, with
    its own box alone; ``quote``: the words that were found.
    """

    first: int
    frame: Picture | None
    quote: str
    registered: Registered


def beside(reasons: Reasons, strip: Strip | None, desk: Desk) -> dict[int, Beside]:
    """By the numbers of the findings that are about somebody registered."""
    told: dict[int, Beside] = {}
    first: dict[str, int] = {}
    for number, reason in enumerate(reasons, start=1):
        evidence = evidence_of(reason)
        registered = _registered(desk, str(reason.get("check", "")), evidence)
        if registered is not None:
            frame = None if strip is None else strip.showing(number)
            told[number] = Beside(
                first=first.setdefault(str(evidence["subject"]), number), frame=frame,
                quote=str(evidence.get("quote") or ""), registered=registered,
            )  # fmt: skip
    return told


def _registered(desk: Desk, check: str, evidence: Mapping[str, Any]) -> Registered | None:
    subject, reference = str(evidence.get("subject") or ""), str(evidence.get("reference") or "")
    try:
        record = desk.show(subject)
    except NotFound:
        return None
    pictures = desk.pictures(record.id)
    like = _first(lambda one: one.sha256 == reference, pictures)
    return _told(record, pictures, like, spelling=reference if check in SPELT else "")


def _told(
    record: SubjectRecord, pictures: Sequence[ReferenceRow], like: ReferenceRow | None, *, spelling: str
) -> Registered:
    return Registered(
        name=record.name, owner=record.owner, kind=record.kind, died_on=record.died_on or "",
        standing=record.standing if record.state == "active" else record.state, spelling=spelling,
        picture="" if like is None else like.name or like.sha256[:12],
        size="" if like is None else f"{like.width} × {like.height}",
        pictures=sum(one.polarity > 0 for one in pictures),
        against=sum(one.polarity < 0 for one in pictures), description=record.description,
        attributes=record.attributes[:MAX_WORDS], exclusions=record.exclusions[:MAX_WORDS],
    )  # fmt: skip


def _first(wanted: Callable[[ReferenceRow], bool], rows: Sequence[ReferenceRow]) -> ReferenceRow | None:
    return next(filter(wanted, rows), None)
