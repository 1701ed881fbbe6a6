"""A holder's own opt-outs in the form in which catalogues are read: importing an export changes nothing.

Pictures are named by their digests, since they are not kept; vectors are not given out. A subject with more
names or pictures than a line may have takes several lines.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, TextIO

from sqlalchemy import Engine

from classifiers.ambiguity import tier_of
from classifiers.base import NameTier
from classifiers.errors import NameRefused
from pipeline.imports.sights import DIGEST
from pipeline.imports.table import COLUMNS, NAMED, write_table
from pipeline.optouts.order import MAX_NAMES, MAX_PICTURES
from registry import optouts, parties
from registry.db import read
from registry.drafts import normal
from registry.inforce import in_force
from registry.subject_types import NameRow, SubjectRecord

PAGE: Final = 200
BOM: Final = "\ufeff"
SPARE: Final = 8
"""Names of a line that are kept free, for the name that each line repeats."""

Documents = Iterator[dict[str, Any]]


def export_lines(engine: Engine, owner: str | None = None) -> Documents:
    """The lines of all opt-outs in force (of one owner), oldest first."""
    last, works = "", dict[str, dict[str, str]]()
    while page := optouts.list_subjects(engine, after=last, limit=PAGE, owner=owner):
        last = page[-1].id
        active = [record for record in page if record.state == "active"]
        with read(engine) as conn:
            held = in_force(conn, [record.id for record in active])
        for record in active:
            if record.party not in works:
                works[record.party] = dict(parties.works(engine, record.party))
            title = works[record.party].get(record.work or "", "")
            yield from lines_of(record, held[record.id].pictures, title)


def lines_of(record: SubjectRecord, pictures: Mapping[str, int], work: str = "") -> Documents:
    """The lines of one opt-out; ``pictures``: polarities by digest."""
    base: dict[str, Any] = {
        "kind": record.kind, "name": record.name, "member": record.owner, "work": work,
        "description": record.description, "attributes": list(record.attributes),
        "exclusions": list(record.exclusions), "mode": record.mode, "died_on": record.died_on,
    }  # fmt: skip
    names = iter(record.names)
    context = _context(record)
    shown = iter([(f"{DIGEST}{digest}", polarity) for digest, polarity in sorted(pictures.items())])
    for first in (True, *([False] * len(record.names)), *([False] * len(pictures))):
        group, some = list(islice(names, MAX_NAMES - SPARE)), list(islice(shown, MAX_PICTURES))
        if not (first or group or some):
            return
        told = base | _names(record, group, context) | {"context": list(context)}
        told["references"] = [path for path, polarity in some if polarity > 0]
        told["negatives"] = [path for path, polarity in some if polarity < 0]
        yield {key: value for key, value in told.items() if value}


def write_ndjson(file: TextIO, lines: Documents) -> int:
    """Write lines as one JSON object each, and say how many."""
    return sum(bool(file.write(json.dumps(line, ensure_ascii=False) + "\n")) for line in lines)


def write_csv(file: TextIO, lines: Documents) -> int:
    """Write lines as a table that spreadsheets open, and say how many."""
    documents = list(lines)
    languages = sorted({language for document in documents for language in document.get("names", {})})
    columns = [column for column in COLUMNS if column != "owner"]
    file.write(BOM)
    write_table(file, documents, [*columns, *(NAMED + language for language in languages)])
    return len(documents)


def _context(record: SubjectRecord) -> tuple[str, ...]:
    """The words for all names without words of their own: those of the subject's name, else of the first."""
    own = normal(record.name)
    named = sorted(
        (one for one in record.names if one.tier == "context"), key=lambda one: normal(one.text) != own
    )
    return named[0].context if named else ()


def _names(record: SubjectRecord, group: list[NameRow], context: tuple[str, ...]) -> dict[str, Any]:
    aliases, native, near = list[str](), defaultdict[str, list[str]](list), list[dict[str, Any]]()
    for one in group:
        if one.tier == "context" and (one.context != context or not _common(one)):
            near.append({"name": one.text, "context": list(one.context), "language": one.language})
        elif normal(one.text) == normal(record.name):
            continue
        elif one.language:
            native[one.language].append(one.text)
        else:
            aliases.append(one.text)
    return {"aliases": aliases, "names": dict(native), "near": near}


def _common(one: NameRow) -> bool:
    """Whether a name would need words near it in any case."""
    try:
        return tier_of(one.text, one.language) is NameTier.CONTEXT
    except NameRefused:
        return False
