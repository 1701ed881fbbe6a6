"""Where opt-outs are made and withdrawn: whole, or not at all.

1. The order is well-formed; each name says on its own whom it means, or with the context words given.
2. Every picture is decoded in a child process, and looked at; pictures and words are measured against what
   means nobody (`pipeline.optouts.fitting`).
3. One transaction writes the subject, its names, pictures and vectors, the log entry and the checkpoint.
An import does 1 and 2 for all its lines before 3.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from pipeline.credentials.text import safe_text
from pipeline.errors import ImportRefused, UsageError
from pipeline.optouts.drafting import Prepared, prepare
from pipeline.optouts.fitting import Fitting
from pipeline.optouts.imports import Progress, fitted_lines, prepare_lines, problem_of
from pipeline.optouts.lines import read_lines
from pipeline.optouts.looking import Eyes
from pipeline.optouts.naming import Named, more_names, named
from pipeline.optouts.order import MAX_PICTURES, UNNAMED, OptOutOrder, parse_order
from pipeline.optouts.receipt import Receipt, receipt
from pipeline.pictures.reader import read_all
from pipeline.pictures.types import PictureFile
from registry import optouts, parties, quarantine
from registry.checkpoint import NoteSigner
from registry.errors import ActRefused, ClaimInvalid, NotFound, OptOutInvalid
from registry.ids import is_id
from registry.party_types import TERMS, Filing, Terms
from registry.quarantine import Quarantined
from registry.subject_types import OptOutDraft, ReferenceRow, SubjectRecord
from registry.types import OptOut

PAGE: Final = 500


def more_of(record: SubjectRecord, aliases: Sequence[str] = (), context: Sequence[str] = ()) -> OptOutOrder:
    """An order that adds to an opt-out: its own kind and name, other aliases and context words.

    Raises: UsageError.
    """
    own = [word for name in record.names for word in name.context]
    return parse_order({
        "kind": record.kind, "name": record.name, "owner": record.owner, "mode": record.mode,
        "aliases": list(aliases), "context": list(dict.fromkeys([*context, *own])),
    })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One home's desk.

    ``clock``: now, UTC, RFC 3339 with Z; ``signer``: signs the log's checkpoints; ``terms``: for unverified
    parties. Who says something is its ``filing``; without one it is the operator.
    """

    engine: Engine
    eyes: Eyes
    signer: NoteSigner
    clock: Callable[[], str]
    terms: Terms = TERMS

    def register(
        self,
        order: OptOutOrder,
        pictures: Sequence[PictureFile | Path] = (),
        negatives: Sequence[PictureFile | Path] = (),
        progress: Progress = lambda _done, _all: None,
        filing: Filing | None = None,
    ) -> Receipt:
        """Register one opt-out; when this returns, the next request is refused, unless it waits as a draft.

        Raises: PictureRefused, SandboxFailed, LimitExceeded (each names the picture), UsageError, and
        `classifiers.errors` NameRefused and ModelUnusable, `registry.errors` OptOutInvalid, ActRefused,
        ClaimInvalid and others.
        """
        prepared = self.prepare(order, pictures, negatives, progress)
        [made] = self._add([prepared.draft], filing)  # 3
        return receipt(made, order.name, prepared.notes, prepared.names)

    def register_prepared(self, prepared: Sequence[Prepared], filing: Filing | None = None) -> list[Receipt]:
        """Register what was prepared, all or nothing. Raises: OptOutInvalid, ActRefused, ClaimInvalid."""
        made = self._add([one.draft for one in prepared], filing)
        return [
            receipt(one, work.draft.name, work.notes, work.names)
            for one, work in zip(made, prepared, strict=True)
        ]

    def prepare(
        self,
        order: OptOutOrder,
        pictures: Sequence[PictureFile | Path] = (),
        negatives: Sequence[PictureFile | Path] = (),
        progress: Progress = lambda _done, _all: None,
    ) -> Prepared:
        """What `register` would write, without writing anything. Raises: the same."""
        return self._prepared(order, named(order), pictures, negatives, progress)  # 1

    def _prepared(
        self, order: OptOutOrder, names: Named, pictures: Sequence[PictureFile | Path],
        negatives: Sequence[PictureFile | Path], progress: Progress,
    ) -> Prepared:  # fmt: skip
        if max(len(pictures), len(negatives)) > MAX_PICTURES:
            raise UsageError(f"more than {MAX_PICTURES} pictures; choose the best of them")
        files = [*pictures, *negatives]
        read = read_all(files, done=lambda done: progress(done, len(files)))  # 2
        shown, not_meant = read[: len(pictures)], read[len(pictures) :]
        prepared = prepare(order, names, shown, not_meant, self.eyes)
        [fit] = Fitting(self.eyes).of([prepared.draft])
        return prepared.fitted(fit)

    def register_file(
        self, path: Path, progress: Progress = lambda _done, _all: None, filing: Filing | None = None
    ) -> list[Receipt]:
        """Register every line of a file, or none of them, and give a receipt for each.

        Raises: ImportRefused with all that is wrong, by line; UsageError and LimitExceeded for the file.
        """
        lines = read_lines(path)  # 1
        prepared = prepare_lines(lines, path.absolute().parent, self.eyes, progress)  # 2
        prepared = fitted_lines(lines, prepared, Fitting(self.eyes))
        try:
            return self.register_prepared(prepared, filing)  # 3
        except (OptOutInvalid, ActRefused, ClaimInvalid) as error:
            raise ImportRefused.of([problem_of(lines[error.index or 0].number, error)]) from None

    def extend(
        self,
        subject: str,
        more: OptOutOrder,
        pictures: Sequence[PictureFile | Path] = (),
        negatives: Sequence[PictureFile | Path] = (),
        progress: Progress = lambda _done, _all: None,
        *,
        by: str | None = None,
    ) -> Receipt:
        """Add aliases and pictures to an opt-out in force; ``more``: as `more_of` makes it; ``by``: the party
        that does, None for the operator.

        Raises: as `register`, NotFound.
        """
        record = self.show(subject)
        prepared = self._prepared(more, more_names(more), pictures, negatives, progress)
        draft = prepared.draft
        made = optouts.extend(
            self.engine, subject, names=draft.names, references=draft.references, vectors=draft.vectors,
            doubted=draft.quarantine, by=by, now=self.clock(), sign_checkpoint=self.signer,
        )  # fmt: skip
        return receipt(made, record.name, prepared.notes, prepared.names)

    def quarantined(self, subject: str) -> tuple[Quarantined, ...]:
        """What of an opt-out is in quarantine, and why."""
        return quarantine.listed(self.engine, subject)

    def withdraw(
        self, subject: str, why: str = "", filing: Filing | None = None, *, keep: bool = False
    ) -> Receipt:
        """Take an opt-out out of force; ``keep``: its clips stay withdrawn. Raises: NotFound, ActRefused."""
        name, now = self.show(subject).name, self.clock()
        made = optouts.withdraw(
            self.engine, subject, why={"why": why}, filing=filing, keep=keep, now=now,
            sign_checkpoint=self.signer,
        )  # fmt: skip
        return receipt(made, name)

    def _add(self, drafts: Sequence[OptOutDraft], filing: Filing | None) -> list[OptOut]:
        if filing is not None:  # who speaks and names no owner means themselves
            mine = parties.find(self.engine, filing.by).name
            drafts = [replace(one, owner=mine) if one.owner == UNNAMED else one for one in drafts]
        return optouts.add_many(
            self.engine, drafts, filing=filing, terms=self.terms, now=self.clock(),
            sign_checkpoint=self.signer,
        )  # fmt: skip

    def show(self, subject: str) -> SubjectRecord:
        """An opt-out with everything in force. Raises: NotFound."""
        record = optouts.get(self.engine, subject) if is_id(subject) else None
        if record is None:
            raise NotFound(f"There is no opt-out {safe_text(subject, 40)!r}; see: countermark optout list.")
        return record

    def pictures(self, subject: str) -> tuple[ReferenceRow, ...]:
        """The registered pictures of an opt-out: digests, sizes and names."""
        return optouts.references(self.engine, subject)

    def of_owner(self, owner: str, limit: int) -> list[SubjectRecord]:
        """The first opt-outs of an owner, oldest first, without their vectors, also withdrawn ones."""
        return optouts.list_subjects(self.engine, owner=owner, limit=limit)

    def every(self, owner: str | None = None) -> Iterator[SubjectRecord]:
        """All opt-outs (of one owner), oldest first, without their vectors, also withdrawn ones."""
        last = ""
        while page := optouts.list_subjects(self.engine, after=last, limit=PAGE, owner=owner):
            yield from page
            last = page[-1].id
