"""One call imports a catalogue.

1. The file is read whole, and every line judged: its words, its names.
2. Every picture and description is looked at, what was seen before an interruption left out.
3. Every line is measured on what means nobody, and compared with the registry: what would it do, and can it
be done? A dry run ends here, and
so does a file with a line that is wrong, unless such lines are to be passed over.
4. The lines are written in chunks, each with the record of how far the import is; a process that dies
anywhere loses at most the chunk that it was writing, and the same call again goes on after the last one.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from pipeline.credentials.text import safe_text
from pipeline.errors import CountermarkError, ImportRefused, Problem, UsageError, describe
from pipeline.imports import staging as stagings
from pipeline.imports.archive import open_archive, open_pictures
from pipeline.imports.catalogue import Catalogue, Entry, read_catalogue
from pipeline.imports.digests import sha256_of
from pipeline.imports.sights import DIGEST, Looked, Looker, Progress, quiet
from pipeline.imports.types import PROBLEM, REGISTERING, ImportOrder, ImportReport, LinePlan
from pipeline.imports.vectors import take_vectors
from pipeline.optouts.fitting import Fit, Fitting
from pipeline.optouts.imports import problem_of
from pipeline.optouts.lines import opened
from pipeline.optouts.looking import Eyes
from registry import import_runs
from registry.canonical import Json, JsonValue, canonical
from registry.checkpoint import NoteSigner
from registry.db import read
from registry.drafts import validate
from registry.errors import ActRefused, ClaimInvalid, OptOutInvalid, RegistryError
from registry.import_types import ImportRun, SkippedLine
from registry.inforce import in_force
from registry.party_types import TERMS, Filing, Terms
from registry.planner import Planner
from registry.planning import find_subjects, subject_key
from registry.subject_types import OptOutDraft

CHUNK: Final = 50
"""Lines of one transaction: a publisher waits for one chunk at most, some 0.1 s where a core is free."""
CHUNK_PICTURES: Final = 500
"""Pictures after which a transaction takes no further line."""
FORMAT: Final = 1
Begun = Callable[[ImportRun, Sequence[LinePlan]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """One home's importer. ``clock``: now, UTC, RFC 3339 with Z; ``staging``: a folder for what was seen;
    ``calibrated``: whether vectors of a space mean anything here; ``terms``: for unverified parties.
    """

    engine: Engine
    eyes: Eyes
    signer: NoteSigner
    clock: Callable[[], str]
    staging: Path
    calibrated: Callable[[str], bool]
    terms: Terms = TERMS

    def plan(self, order: ImportOrder, progress: Progress = quiet) -> list[LinePlan]:
        """What each line would do, in the order of the file; nothing is written.

        Raises: ImportRefused for a file that cannot be read to its end, UsageError, LimitExceeded,
        ImportMoved, `classifiers.errors` ModelUnusable.
        """
        with self._prepared(order, 1, progress) as work:
            return work.plans

    def run(
        self, order: ImportOrder, progress: Progress = quiet, begun: Begun = lambda _run, _plans: None
    ) -> ImportReport:
        """Import a catalogue, or go on with it; when this returns, every line is in force.

        ``begun`` is told of the record, and what is to become of its lines, before the first is written.

        Raises: as `plan`, and ImportRefused with all that is wrong, before anything is written.
        """
        digests = _digests(order)
        known = import_runs.find_open(self.engine, digests.run)
        if order.resume and known is None:
            raise UsageError("no import of this file was begun with these options; run it without --resume")
        start = 1 if known is None else known.next_line
        with self._prepared(order, start, progress, digests) as work:
            if work.problems and not order.skip_bad:
                raise ImportRefused.of(work.problems)
            report = self._write(order, work, digests, progress, begun)
        stagings.forget(self.staging, digests.seen)
        return report

    @contextmanager
    def _prepared(
        self, order: ImportOrder, start: int, progress: Progress, digests: "_Digests | None" = None
    ) -> Iterator["_Work"]:
        """Steps 1 to 3, for the lines from `start` on."""
        if order.vectors is not None and order.filing is not None:
            raise UsageError("only the operator brings vectors; leave out --by or --vectors")
        told = digests or _digests(order)
        catalogue = read_catalogue(order.file)  # 1
        if order.account is not None:
            catalogue = catalogue.of(order.account, alone=order.filing is None)
        entries = [entry for entry in catalogue.entries if entry.number >= start]
        source = order.pictures or order.file.absolute().parent
        with (
            stagings.open_staging(self.staging, told.seen, time.time()) as staging,
            open_pictures(source) as pictures,
        ):
            if order.vectors is not None:
                take_vectors(order.vectors, staging, self.calibrated)
            looker = Looker(source=pictures, staging=staging, eyes=self.eyes, progress=progress)
            looked = looker.look(entries, self._registered(entries))  # 2
            work = _Work(
                catalogue=catalogue, start=start, looker=looker, looked=looked, filing=order.filing
            )  # fmt: skip
            self._compare(entries, work, progress)  # 3
            yield work

    def _registered(self, entries: Sequence[Entry]) -> Callable[[Entry], frozenset[str]]:
        """The digests of pictures that the subjects of these entries have, where a line names digests."""
        lines = [
            entry.line for entry in entries
            if any(path.startswith(DIGEST) for path in (*entry.line.references, *entry.line.negatives))
        ]  # fmt: skip
        with read(self.engine) as conn:
            known = find_subjects(conn, lines)
            held = in_force(conn, [row.id for row in known.values()])
        digests = {key: frozenset(held[row.id].pictures) for key, row in known.items()}
        return lambda entry: digests.get(subject_key(entry.line), frozenset())

    def _compare(self, entries: Sequence[Entry], work: "_Work", progress: Progress) -> None:
        counted = Counter(subject_key(entry.line) for entry in entries)
        planner = Planner(
            (key for key, count in counted.items() if count > 1), filing=work.filing, terms=self.terms
        )  # fmt: skip
        rest, done, fitting = iter(entries), 0, Fitting(self.eyes)
        plans = [_wrong(problem) for problem in work.catalogue.problems if problem.line >= work.start]
        while batch := list(islice(rest, CHUNK)):
            plans += self._planned(batch, work, planner, fitting)
            done += len(batch)
            progress("comparing with the registry", done, len(entries))
        work.plans = sorted(plans, key=lambda plan: plan.line)
        work.problems = [plan.problem for plan in work.plans if plan.problem is not None]

    def _planned(
        self, batch: Sequence[Entry], work: "_Work", planner: Planner, fitting: Fitting
    ) -> list[LinePlan]:
        looked, plans = list[tuple[Entry, OptOutDraft]](), list[LinePlan]()
        for entry in batch:
            try:
                looked.append((entry, work.draft(entry)))
            except (CountermarkError, OptOutInvalid) as error:
                plans.append(_wrong(problem_of(entry.number, error), entry))
        good = list[tuple[Entry, OptOutDraft]]()
        for (entry, draft), fit in zip(looked, fitting.of([one for _, one in looked]), strict=True):
            try:
                good.append((entry, fit.applied(draft)))
                work.fits[entry.number] = fit
            except CountermarkError as error:
                plans.append(_wrong(problem_of(entry.number, error), entry))
        with read(self.engine) as conn:
            planned = planner.plan(conn, [draft for _, draft in good], self.clock())
        for (entry, _), one in zip(good, planned, strict=True):
            if one.error is not None:
                plans.append(_wrong(problem_of(entry.number, one.error), entry))
                continue
            plans.append(
                LinePlan(
                    line=entry.number, outcome=str(one.outcome), name=entry.line.name, subject=one.subject,
                    notes=(*work.looker.notes(entry, work.looked), *work.fits[entry.number].notes()),
                )
            )  # fmt: skip
        return plans

    def _write(
        self, order: ImportOrder, work: "_Work", digests: "_Digests", progress: Progress, begun: Begun
    ) -> ImportReport:
        source: Json = {
            "file": work.catalogue.name, "file_sha256": work.catalogue.sha256,
            "pictures": safe_text(order.pictures.name) if order.pictures else None,
            "pictures_sha256": digests.pictures, "vectors_sha256": digests.vectors,
            "skip_bad": order.skip_bad,
        }  # fmt: skip
        run = import_runs.begin(
            self.engine, digest=digests.run, source=source,
            by_party=None if work.filing is None else work.filing.by, lines=work.catalogue.lines,
            now=self.clock(), sign_checkpoint=self.signer,
        )  # fmt: skip
        resumed_at, longest = run.next_line, 0.0
        skipped = work.problems
        begun(run, work.plans)
        try:
            for chunk in work.chunks(run.next_line):
                run, seconds = self._write_chunk(run, chunk, work)
                longest = max(longest, seconds)
                progress(REGISTERING, run.done, run.lines)
            run = import_runs.finish(self.engine, run, now=self.clock(), sign_checkpoint=self.signer)
        except (CountermarkError, RegistryError) as error:
            self._fail(run, error)
            raise
        notes = tuple((plan.line, note) for plan in work.plans for note in plan.notes)
        return ImportReport(
            run=run, resumed_at=resumed_at, skipped=tuple(skipped), notes=notes,
            longest_write_seconds=longest,
        )  # fmt: skip

    def _write_chunk(
        self, run: ImportRun, chunk: "Sequence[Entry | Problem]", work: "_Work"
    ) -> tuple[ImportRun, float]:
        """Write a chunk, and say for how long at most somebody else may have waited."""
        drafts = [(one.number, work.draft(one)) for one in chunk if isinstance(one, Entry)]
        skipped = [SkippedLine(line=one.line, code=one.code) for one in chunk if isinstance(one, Problem)]
        last = chunk[-1]
        next_line = 1 + (last.number if isinstance(last, Entry) else last.line)
        begun = time.perf_counter()
        try:
            done = import_runs.write_chunk(
                self.engine, run, drafts, skipped, next_line=next_line, filing=work.filing,
                terms=self.terms, now=self.clock(), sign_checkpoint=self.signer,
            )  # fmt: skip
        except (OptOutInvalid, ActRefused, ClaimInvalid) as error:  # it changed since the comparison
            raise _stopped(problem_of(drafts[error.index or 0][0], error)) from None
        return done, time.perf_counter() - begun

    def _fail(self, run: ImportRun, error: CountermarkError | RegistryError) -> None:
        try:
            import_runs.fail(self.engine, run, code=describe(error).code, now=self.clock())
        except RegistryError:  # what stopped the import may stop this, too; the import is open either way
            return


@dataclass(slots=True)
class _Work:
    """What steps 1 to 3 made; only lines from ``start`` on were looked at."""

    catalogue: Catalogue
    start: int
    looker: Looker
    looked: Looked
    filing: Filing | None
    plans: list[LinePlan] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    fits: dict[int, Fit] = field(default_factory=dict)

    def draft(self, entry: Entry) -> OptOutDraft:
        """Raises: what is wrong with the pictures of the line, OptOutInvalid."""
        if entry.number in self.looked.errors:
            raise self.looked.errors[entry.number]
        draft = self.looker.draft(entry, self.looked)
        fit = self.fits.get(entry.number)
        draft = draft if fit is None else fit.applied(draft)
        validate(draft)
        return draft

    def chunks(self, first: int) -> Iterator[list[Entry | Problem]]:
        """Good lines and problems from a line on, in the order of the file."""
        bad = {problem.line: problem for problem in self.problems}
        todo: list[Entry | Problem] = [
            bad.get(entry.number, entry) for entry in self.catalogue.entries if entry.number >= first
        ]
        todo += [problem for problem in self.catalogue.problems if problem.line >= first]
        todo.sort(key=lambda one: one.number if isinstance(one, Entry) else one.line)
        chunk, pictures = list[Entry | Problem](), 0
        for one in todo:
            chunk.append(one)
            pictures += len(self.looked.pictures[one.number]) if isinstance(one, Entry) else 0
            if len(chunk) >= CHUNK or pictures >= CHUNK_PICTURES:
                yield chunk
                chunk, pictures = [], 0
        if chunk:
            yield chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digests:
    """``seen``: of what is looked at; ``run``: of that and the options, the import's identity."""

    seen: str
    run: str
    pictures: str | None
    vectors: str | None


def _digests(order: ImportOrder) -> _Digests:
    folder, pictures, vectors = order.pictures or order.file.absolute().parent, None, None
    with opened(order.file) as file:
        lines = sha256_of(file)
    if order.vectors is not None:
        with opened(order.vectors) as file:
            vectors = sha256_of(file)
    if not folder.is_dir():
        with open_archive(folder) as file:
            pictures = sha256_of(file)
    where = pictures or f"folder {safe_text(str(folder.absolute()), 4000)}"
    seen: JsonValue = [FORMAT, lines, vectors, where]
    said: JsonValue = None
    if order.filing is not None:
        statements: JsonValue = {**order.filing.statements}
        said = [order.filing.by, order.filing.kind, statements, order.filing.signature]
    mine: list[JsonValue] = [] if order.account is None else [order.account]
    options: JsonValue = [seen, said, order.skip_bad, *mine]
    return _Digests(
        seen=hashlib.sha256(canonical(seen)).hexdigest(), run=hashlib.sha256(canonical(options)).hexdigest(),
        pictures=pictures, vectors=vectors,
    )  # fmt: skip


def _stopped(problem: Problem) -> ImportRefused:
    """What is said of a line that the registry does not take any more."""
    error = ImportRefused(
        f"line {problem.line}: {problem.message}; the lines before it are in force, mend it and import again"
    )
    error.problems = (problem,)
    return error


def _wrong(problem: Problem, entry: Entry | None = None) -> LinePlan:
    name = "" if entry is None else entry.line.name
    return LinePlan(line=problem.line, outcome=PROBLEM, name=name, problem=problem)
