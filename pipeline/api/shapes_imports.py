"""Answers about imports, as OpenAPI shows them."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

_ID: Final = "01a22047-9c7a-70c2-bc12-81e382822eaf"
RUNNING: Final[dict[str, Any]] = {
    "id": _ID, "state": "running", "dry_run": False, "file": "catalogue.csv", "pictures": "pictures.zip",
    "speaks": "account", "lines": 2000, "counts": {"new": 950, "extends": 50, "skipped": 0},
    "progress": {"step": "registering", "done": 1000, "of": 2000}, "error": None, "import": _ID, "seq": None,
    "created_at": "2026-01-31T10:00:00Z", "finished_at": None,
}  # fmt: skip


class Progress(BaseModel):
    """What is being done, how much of it is done, and of how much."""

    step: str
    done: int
    of: int


class ImportAnswer(BaseModel):
    """An import: waiting, running, then done, refused (nothing was registered) or failed (it stopped on the
    way). ``lines``: how many there are, null until it writes; ``counts``: what came of those that are done,
    of a dry run what would; ``import``: the record in the log; ``seq``: its last entry there.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [RUNNING]})

    id: str
    state: Literal["waiting", "running", "done", "refused", "failed"]
    dry_run: bool
    file: str
    pictures: str | None
    speaks: Literal["account", "party"]
    lines: int | None
    counts: dict[str, int]
    progress: Progress | None
    error: dict[str, str] | None
    seq: int | None
    created_at: str
    finished_at: str | None


class ImportsAnswer(BaseModel):
    """A page of imports, oldest first; ``after``: what asks for the next page, null at the end."""

    imports: list[ImportAnswer]
    after: str | None


class ImportedLine(BaseModel):
    """What came of a line; ``id``: the opt-out, ``seq``: its log entry; of a line that is wrong ``code`` and
    ``message`` say why.
    """

    line: int
    outcome: Literal["new", "extends", "unchanged", "waits", "skipped", "problem"]
    id: str | None
    seq: int | None
    code: str | None
    message: str | None
    notes: list[str]


class ImportedLines(BaseModel):
    """A page of lines, in the order of the file; ``after``: what asks for the next page, null at the end."""

    lines: list[ImportedLine]
    after: int | None


ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": ImportAnswer, "description": "It was asked for before, and has ended."}
}
RECEIPTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Receipts, one a line.", "content": {"application/x-ndjson": {}}}
}
