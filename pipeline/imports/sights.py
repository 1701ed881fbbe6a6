"""Looking at all pictures and words of a catalogue, each once, into the staging.

1. Every picture is read and told by its digest; what the staging or the operator's own vectors have is not
looked at. 2. The others are decoded in child processes, the next while one is looked at, and kept in the
staging batch by batch. 3. Then each line's opt-out is put together from the staging alone.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pipeline.errors import CountermarkError, PictureRefused
from pipeline.imports.archive import Pictures
from pipeline.imports.catalogue import Entry
from pipeline.imports.staging import Staging
from pipeline.media.ahead import ahead
from pipeline.optouts.looking import PERSON, Eyes, Seen, Words, compose, see, see_words
from pipeline.pictures.reader import Result, read_each
from pipeline.pictures.types import PictureFile, ReadPicture
from registry.canonical import JsonValue, canonical
from registry.subject_types import OptOutDraft

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""
BATCH: Final = 8
DIGEST: Final = "sha256:"
PORTRAIT, PICTURE = "portrait", "picture"
GIVEN: Final = "given"


def quiet(_step: str, _done: int, _all: int) -> None:
    """Progress that nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture of a line: what it is called, and the key of what is seen of it in the staging."""

    name: str
    sha256: str
    key: str
    negative: bool


@dataclass(slots=True)
class Looked:
    """What came of looking: pictures of each line by its number, and errors of those that have one."""

    pictures: dict[int, list[Shown]] = field(default_factory=dict)
    errors: dict[int, CountermarkError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """``known``: digests of pictures that an entry's subject has registered, by the entry's number."""

    source: Pictures
    staging: Staging
    eyes: Eyes
    progress: Progress = quiet

    def look(self, entries: Sequence[Entry], known: Callable[[Entry], frozenset[str]]) -> Looked:
        """Look at everything that was not seen before. Raises: ModelUnusable."""
        looked, waiting = self._read(entries, known)  # 1
        refused = self._see(waiting)  # 2
        self._see_words(entries)
        for number, shown in looked.pictures.items():
            for one in shown:
                if one.key in refused:
                    looked.errors.setdefault(number, refused[one.key])
        return looked

    def draft(self, entry: Entry, looked: Looked) -> OptOutDraft:
        """The opt-out of a line, from the staging. Raises: PictureRefused."""  # 3
        shown, not_meant = list[Seen](), list[Seen]()
        for one in looked.pictures[entry.number]:
            seen = self.staging.get(one.key, one.name)
            if seen is None:
                raise PictureRefused(f"{one.name}: changed while it was read; import the file again")
            (not_meant if one.negative else shown).append(seen)
        line = entry.line
        found = compose(shown, not_meant, self._words(entry))
        return OptOutDraft(
            kind=line.kind, name=line.name, owner=line.owner, names=entry.names,
            description=line.description, attributes=line.attributes, exclusions=line.exclusions,
            context=line.context, mode=line.mode, references=found.references, vectors=found.vectors,
            work=line.work, died_on=line.died_on,
        )  # fmt: skip

    def notes(self, entry: Entry, looked: Looked) -> tuple[str, ...]:
        """Sentences about pictures of a line that protect nothing."""
        seen = (self.staging.get(one.key, one.name) for one in looked.pictures[entry.number])
        return tuple(one.note for one in seen if one is not None and one.note)

    def _read(
        self, entries: Sequence[Entry], known: Callable[[Entry], frozenset[str]]
    ) -> tuple[Looked, dict[str, tuple[str, str]]]:
        """Digests of all pictures; of those to look at, key -> (kind of subject, path)."""
        looked, waiting, done = Looked(), dict[str, tuple[str, str]](), 0
        total = sum(len(entry.line.references) + len(entry.line.negatives) for entry in entries)
        for entry in entries:
            line, shown, registered = entry.line, list[Shown](), known(entry)
            paths = [(path, False) for path in line.references] + [(path, True) for path in line.negatives]
            for path, negative in paths:
                try:
                    one = self._told(path, negative, line.kind, registered)
                except CountermarkError as error:
                    looked.errors.setdefault(entry.number, error)
                    continue
                if one is not None:
                    shown.append(one)
                    if not self.staging.has(one.key):
                        waiting.setdefault(one.key, (line.kind, path))
            looked.pictures[entry.number] = shown
            done += len(paths)
            self.progress("reading the pictures", done, total)
        return looked, waiting

    def _told(self, path: str, negative: bool, kind: str, known: frozenset[str]) -> Shown | None:
        """A picture as the staging knows it; None for one that its subject has registered already."""
        digest, name = _named(path), ""
        if digest is None:
            file = self.source.load(path)
            digest, name = hashlib.sha256(file.data).hexdigest(), file.name
        elif digest in known:
            return None
        given = picture_key(digest, kind, GIVEN)
        if self.staging.has(given):
            return Shown(name=name, sha256=digest, key=given, negative=negative)
        if not name:
            raise PictureRefused(f"{DIGEST}{digest[:16]}…: this picture is not known here; send it")
        key = picture_key(digest, kind, self._space(kind))
        return Shown(name=name, sha256=digest, key=key, negative=negative)

    def _space(self, kind: str) -> str:
        return self.eyes.faces.space if kind == PERSON else self.eyes.clip.space

    def _see(self, waiting: dict[str, tuple[str, str]]) -> dict[str, CountermarkError]:
        """See what waits; the errors of those that cannot be, by key."""
        refused: dict[str, CountermarkError] = {}
        done, order = 0, sorted(waiting, key=lambda key: waiting[key][0] == PERSON)
        with ahead(read_each(self._loaded(waiting[key][1] for key in order))) as results, closing(results):
            pairs = zip(order, results, strict=True)
            while batch := list(islice(pairs, BATCH)):
                self._keep(batch, waiting, refused)
                done += len(batch)
                self.progress("looking at the pictures", done, len(waiting))
        return refused

    def _keep(
        self, batch: Sequence[tuple[str, Result]], waiting: dict[str, tuple[str, str]],
        refused: dict[str, CountermarkError],
    ) -> None:  # fmt: skip
        refused.update((key, result) for key, result in batch if isinstance(result, CountermarkError))
        for person in (False, True):
            pictures = [
                result for key, result in batch
                if isinstance(result, ReadPicture) and (waiting[key][0] == PERSON) is person
            ]  # fmt: skip
            kind = PERSON if person else ""
            seen = see(pictures, kind, self.eyes)
            self.staging.put((picture_key(one.sha256, kind, one.space), one) for one in seen)

    def _loaded(self, paths: Iterable[str]) -> Iterator[PictureFile | CountermarkError]:
        for path in paths:
            try:
                yield self.source.load(path)
            except CountermarkError as error:
                yield error

    def _see_words(self, entries: Sequence[Entry]) -> None:
        described = [entry for entry in entries if entry.line.description or entry.line.attributes]
        for done, entry in enumerate(described, start=1):
            key = self._words_key(entry)
            if not self.staging.has(key):
                self.staging.put_words(key, see_words(entry.line, self.eyes))
            self.progress("looking at the descriptions", done, len(described))

    def _words(self, entry: Entry) -> list[Words]:
        if not (entry.line.description or entry.line.attributes):
            return []
        return self.staging.get_words(self._words_key(entry)) or []

    def _words_key(self, entry: Entry) -> str:
        line = entry.line
        told: JsonValue = [
            line.description, list(line.attributes), list(line.all_names), list(line.exclusions),
        ]  # fmt: skip
        digest = hashlib.sha256(canonical(told)).hexdigest()
        return f"words:{digest}:{self.eyes.clip.space}:{self.eyes.minilm.space}"


def picture_key(sha256: str, kind: str, space: str) -> str:
    """What is seen of a picture depends on what it is looked at for, and with what."""
    return f"{sha256}:{PORTRAIT if kind == PERSON else PICTURE}:{space}"


def _named(path: str) -> str | None:
    """The digest by which a line names a picture that it does not send."""
    digest = path.removeprefix(DIGEST)
    named = path.startswith(DIGEST) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    return digest if named else None
