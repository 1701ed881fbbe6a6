"""Wishes about training: read from a file, and answered as evidence.

A line names the claimant, what it is about (``url``, ``sha256``), and for each use of the CAWG vocabulary
whether it is allowed. In a table each use is a column of its own.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Engine

from pipeline.credentials.read import read_credential
from pipeline.credentials.reading import CredentialState
from pipeline.credentials.text import safe_text
from pipeline.credentials.trust import TrustStore
from pipeline.errors import CountermarkError, ImportRefused, Problem, UsageError
from pipeline.imports.catalogue import documents
from pipeline.imports.digests import sha256_of
from pipeline.imports.table import Columns, TableBroken
from pipeline.optouts.imports import problem_of
from pipeline.optouts.lines import opened
from pipeline.optouts.order import MAX_NAME_CHARS, MAX_TEXT_CHARS, Name, complaint, written
from pipeline.sandbox import ProcessLimits
from pipeline.types import Json
from registry import receipts, training
from registry.checkpoint import NoteSigner
from registry.errors import OptOutInvalid
from registry.training import USES, Evidence, TrainingDraft, TrainingWish

CHUNK: Final = 200
FORMAT: Final = "countermark-training-evidence/1"
TEXTS: Final = ("claimant", "work", "url", "sha256", "constraint_info")
COLUMNS: Final = Columns(texts=(*TEXTS, *USES), needed="claimant")

Choice = Literal["allowed", "notAllowed", "constrained"]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(written)]
Title = Annotated[str, Field(max_length=MAX_NAME_CHARS), AfterValidator(written)]


class Entry(BaseModel):
    """One use, as the assertion writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: Choice
    constraint_info: Text = ""


class TrainingLine(BaseModel):
    """A line of a file: ``uses`` as words, or ``entries`` as the C2PA assertion has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claimant: Name
    work: Title = ""
    url: Annotated[str, Field(max_length=training.URL_CHARS_MAX)] = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    uses: dict[str, Choice] = {}
    entries: dict[str, Entry] = {}
    constraint_info: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _columns(cls, values: Any) -> Any:
        """The columns of a table become the uses."""
        if not isinstance(values, dict) or not any(use in values for use in USES):
            return values
        told = {key: value for key, value in values.items() if key not in USES}
        return {"uses": {use: values[use] for use in USES if use in values}} | told

    def draft(self) -> TrainingDraft:
        """What is recorded. Raises: OptOutInvalid."""
        uses = dict(self.uses) | {use: one.use for use, one in self.entries.items()}
        constraints = {use: one.constraint_info for use, one in self.entries.items() if one.constraint_info}
        if self.constraint_info:
            constrained = [use for use, choice in uses.items() if choice == "constrained"]
            constraints = dict.fromkeys(constrained, self.constraint_info) | constraints
        made = TrainingDraft(
            claimant=self.claimant, uses=uses, constraints=constraints, work=self.work, url=self.url,
            sha256=self.sha256,
        )  # fmt: skip
        training.validate(made)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A line that was recorded; ``new``: False where it had been said before."""

    line: int
    wish: TrainingWish
    new: bool


def import_training(
    engine: Engine, path: Path, *, clock: Callable[[], str], signer: NoteSigner
) -> list[Recorded]:
    """Record every line of a file, or none that comes after a failure of the machine: said again, the same
    file goes on, since what was recorded changes nothing.

    Raises: ImportRefused with all that is wrong, before anything is written; UsageError, LimitExceeded.
    """
    drafts = _read(path)
    rest, done = iter(drafts), list[Recorded]()
    while chunk := list(islice(rest, CHUNK)):
        made = training.assert_many(
            engine, [draft for _, draft in chunk], now=clock(), sign_checkpoint=signer
        )
        done += [
            Recorded(line=line, wish=wish, new=new)
            for (line, _), (wish, new) in zip(chunk, made, strict=True)
        ]
    return done


def import_manifest(
    engine: Engine, path: Path, *, trust: TrustStore, limits: ProcessLimits, claimant: str | None,
    clock: Callable[[], str], signer: NoteSigner,
) -> Recorded:  # fmt: skip
    """Record what a file's own credential says about training, for this very file.

    ``claimant``: who says it, where the credential's signer is nobody whom we trust. Raises: UsageError for a
    file whose credential is not there, broken or silent; MediaUnreadable, LimitExceeded, SandboxFailed.
    """
    shown = safe_text(path.name)
    reading = read_credential(path, trust, limits=limits)
    if reading.state is not CredentialState.PRESENT:
        raise UsageError(f"{shown} carries no credential that can be read; write a line about it instead")
    if not (reading.signature_ok and reading.hash_ok):
        raise UsageError(f"the credential of {shown} does not fit the file; ask its maker for another")
    if not reading.training:
        raise UsageError(f"the credential of {shown} says nothing about training")
    who = claimant or reading.signer_name
    if who is None:
        raise UsageError(f"{shown} is signed by nobody whom we trust; say who claims it with --claimant")
    with path.open("rb") as file:
        digest = sha256_of(file)
    told = {"claimant": who, "sha256": digest, "entries": reading.training}
    draft = replace(_draft(told), source="manifest")
    [(wish, new)] = training.assert_many(engine, [draft], now=clock(), sign_checkpoint=signer)
    return Recorded(line=1, wish=wish, new=new)


def evidence_document(found: list[Evidence], asked: Mapping[str, str], at: str, checkpoint_key: str) -> Json:
    """What was said about something and since when, with everything that somebody needs to check it.

    ``at``: when it was asked; ``checkpoint_key``: the name of the key that signs the log's checkpoints.
    """
    return {
        "format": FORMAT, "asked": dict(asked), "at": at, "log": checkpoint_key,
        "wishes": [_wish_json(one) for one in found],
        "in_force": sum(one.wish.removed_seq is None for one in found),
    }  # fmt: skip


def _wish_json(one: Evidence) -> Json:
    wish = one.wish
    return {
        "id": wish.id, "claimant": wish.claimant, "work": wish.work, "url": wish.url,
        "sha256": wish.sha256, "entries": dict(wish.uses), "since": one.at, "sequence": wish.seq,
        "ended": wish.removed_seq, "source": wish.source,
        "opening": None if one.salt is None else {"salt": one.salt.hex(), "private": one.private},
        "receipt": receipts.document(one.proof),
    }  # fmt: skip


def _read(path: Path) -> list[tuple[int, TrainingDraft]]:
    drafts, problems = list[tuple[int, TrainingDraft]](), list[Problem]()
    with opened(path) as file:
        try:
            with closing(documents(file, path, COLUMNS)) as rows:
                for number, document in rows:
                    try:
                        drafts.append((number, _draft(document)))
                    except (CountermarkError, OptOutInvalid) as error:
                        problems.append(problem_of(number, error))
        except TableBroken as error:
            problems.append(Problem(line=error.line, code=UsageError.code, message=str(error)))
    if problems:
        raise ImportRefused.of(problems)
    if not drafts:
        raise UsageError(f"{safe_text(path.name)} has no line; write one wish on each")
    return drafts


def _draft(document: dict[str, Any] | CountermarkError) -> TrainingDraft:
    if isinstance(document, CountermarkError):
        raise document
    try:
        return TrainingLine.model_validate(document).draft()
    except ValidationError as error:
        raise UsageError(complaint(error)) from None
