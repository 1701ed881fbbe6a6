"""What rights holders say about training and mining: recorded, provable, and without effect on any verdict.

The same claimant, address and digest is the same wish: said again it changes nothing; said otherwise, the new
one takes the place of the old, and both stay in the log. Who says it, and of what, is in the private part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Connection, Engine, Row, or_, select

from registry import log
from registry.canonical import Json
from registry.checkpoint import NoteSigner
from registry.db import read, write
from registry.drafts import DESCRIPTION_CHARS_MAX, normal, phrases
from registry.errors import NotFound, OptOutInvalid
from registry.ids import new_id
from registry.proving import prove_many
from registry.tables import log_private
from registry.tables_imports import training_wish
from registry.types import LogProof

ENTRY_VERSION: Final = 1
USES: Final = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")
"""The uses of the CAWG training and data mining assertion."""
CHOICES: Final = ("allowed", "notAllowed", "constrained")
SOURCES: Final = ("file", "manifest")
URL_CHARS_MAX: Final = 2_000
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingDraft:
    """``uses``: for each use whether it is allowed; ``constraints``: under which conditions, for those that
    are constrained; ``url``, ``sha256``: what it is about, at least one; ``source``: file | manifest.
    """

    claimant: str
    uses: Mapping[str, str]
    constraints: Mapping[str, str] = field(default_factory=dict)
    work: str = ""
    url: str = ""
    sha256: str = ""
    source: str = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWish:
    """A wish as it is recorded; ``removed_seq``: the log entry that ended it, None while it is in force."""

    id: str
    claimant: str
    work: str
    url: str
    sha256: str
    uses: Mapping[str, Any]
    source: str
    seq: int
    removed_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A wish with what proves it: the log entry, its proof, and the salt and text that open the entry's
    commitment (None where they were erased).
    """

    wish: TrainingWish
    at: str
    proof: LogProof
    salt: bytes | None
    private: str | None


def validate(draft: TrainingDraft) -> None:
    """Raise `OptOutInvalid` unless the draft can be recorded."""
    phrases("claimant", [draft.claimant], 1)
    if draft.work:
        phrases("work", [draft.work], 1)
    if not draft.url and not draft.sha256:
        raise OptOutInvalid("Say what it is about: an address or a digest.")
    if draft.sha256 and (len(draft.sha256) != 64 or set(draft.sha256) - set("0123456789abcdef")):
        raise OptOutInvalid("A digest is SHA-256 in lower-case hex.")
    if draft.url:
        plain_url(draft.url)
    if not draft.uses:
        raise OptOutInvalid(f"Say which use; choose from: {', '.join(USES)}.")
    for use, choice in draft.uses.items():
        if use not in USES:
            raise OptOutInvalid(f"{use[:60]!r} is no use; choose from: {', '.join(USES)}.")
        if choice not in CHOICES:
            raise OptOutInvalid(f"{choice[:40]!r} is no choice; choose from: {', '.join(CHOICES)}.")
    for use, text in draft.constraints.items():
        if draft.uses.get(use) != "constrained" or not 0 < len(text) <= DESCRIPTION_CHARS_MAX:
            raise OptOutInvalid(f"Only what is constrained has constraints, at most {DESCRIPTION_CHARS_MAX} "
                                "characters of them.")  # fmt: skip


def plain_url(url: str) -> str:
    """An address in the form in which two are the same. Raises `OptOutInvalid`."""
    try:
        told: SplitResult = urlsplit(url.strip())
        port = told.port
    except ValueError:
        raise OptOutInvalid("This is no address; write https://….") from None
    fits = len(url) <= URL_CHARS_MAX and url.strip().isprintable() and " " not in url.strip()
    if told.scheme.lower() not in DEFAULT_PORTS or not told.hostname or told.username or not fits:
        raise OptOutInvalid("This is no address; write https://….")
    scheme = told.scheme.lower()
    host = told.hostname if port in (None, DEFAULT_PORTS[scheme]) else f"{told.hostname}:{port}"
    return told._replace(scheme=scheme, netloc=host, path=told.path or "/", fragment="").geturl()


def assert_many(
    engine: Engine, drafts: Sequence[TrainingDraft], *, now: str, sign_checkpoint: NoteSigner
) -> list[tuple[TrainingWish, bool]]:
    """Record wishes, all or none, and say of each whether it was new.

    Raises `OptOutInvalid` with the draft's index.
    """
    for index, draft in enumerate(drafts):
        try:
            validate(draft)
        except OptOutInvalid as error:
            error.index = index
            raise
    if not drafts:
        return []
    with write(engine) as conn:
        done = [_assert(conn, draft, now) for draft in drafts]
        log.add_checkpoint(conn, sign_checkpoint, now)
    return done


def withdraw(engine: Engine, wish_id: str, *, now: str, sign_checkpoint: NoteSigner) -> int:
    """End a wish, and return the log position; a second time does nothing. Raises `NotFound`."""
    with write(engine) as conn:
        row = conn.execute(select(training_wish).where(training_wish.c.id == wish_id)).first()
        if row is None:
            raise NotFound(f"There is no wish {wish_id[:40]!r}; see: countermark training list.")
        if row.removed_seq is not None:
            return int(row.removed_seq)
        public: Json = {"v": ENTRY_VERSION, "wish": wish_id, "action": "withdraw"}
        seq = log.append(conn, "training", public, None, now).seq
        _end(conn, wish_id, seq)
        log.add_checkpoint(conn, sign_checkpoint, now)
        return seq


def list_wishes(
    engine: Engine, *, after: str = "", limit: int = 100, claimant: str | None = None
) -> list[TrainingWish]:
    """Wishes by id, oldest first, also ended ones; ``after``: the last id of the page before."""
    query = select(training_wish).where(training_wish.c.id > after).order_by(training_wish.c.id).limit(limit)
    if claimant is not None:
        query = query.where(training_wish.c.claimant_normal == normal(claimant))
    with read(engine) as conn:
        return [_wish(row) for row in conn.execute(query)]


def answer(engine: Engine, *, sha256: str = "", url: str = "") -> list[Evidence]:
    """Everything that was ever said about a digest or an address, in the order of the log, with proofs."""
    about = []
    if sha256:
        about.append(training_wish.c.sha256 == sha256)
    if url:
        about.append(training_wish.c.url == plain_url(url))
    if not about:
        raise OptOutInvalid("Ask for an address or a digest.")
    with read(engine) as conn:
        query = select(training_wish).where(or_(*about)).order_by(training_wish.c.log_seq)
        wishes = [_wish(row) for row in conn.execute(query)]
        seqs = [wish.seq for wish in wishes]
        opened = {
            row.seq: row for row in conn.execute(select(log_private).where(log_private.c.seq.in_(seqs)))
        }
        proofs = prove_many(conn, seqs)
    return [
        Evidence(
            wish=wish, at=json.loads(proof.entry)["at"], proof=proof,
            salt=bytes(opened[wish.seq].salt) if wish.seq in opened else None,
            private=opened[wish.seq].private if wish.seq in opened else None,
        )
        for wish, proof in zip(wishes, proofs, strict=True)
    ]  # fmt: skip


def _assert(conn: Connection, draft: TrainingDraft, now: str) -> tuple[TrainingWish, bool]:
    url = plain_url(draft.url) if draft.url else ""
    same = (
        training_wish.c.claimant_normal == normal(draft.claimant), training_wish.c.url == url,
        training_wish.c.sha256 == draft.sha256, training_wish.c.removed_seq.is_(None),
    )  # fmt: skip
    old = conn.execute(select(training_wish).where(*same)).first()
    uses = _entries(draft)
    if old is not None and old.uses == uses and old.work in (draft.work, old.work if not draft.work else ""):
        return _wish(old), False
    made = new_id(now)
    public: Json = {"v": ENTRY_VERSION, "wish": made, "action": "assert", "uses": uses}
    if old is not None:
        public["replaces"] = old.id
    private: Json = {"claimant": draft.claimant, "work": draft.work, "url": url, "sha256": draft.sha256}
    seq = log.append(conn, "training", public, private | {"source": draft.source}, now).seq
    if old is not None:
        _end(conn, old.id, seq)
    row = {
        "id": made, "claimant": draft.claimant, "claimant_normal": normal(draft.claimant),
        "work": draft.work or (old.work if old is not None else ""), "url": url, "sha256": draft.sha256,
        "uses": uses, "source": draft.source, "log_seq": seq,
    }  # fmt: skip
    conn.execute(training_wish.insert().values(**row))
    found = conn.execute(select(training_wish).where(training_wish.c.id == made)).one()
    return _wish(found), True


def _end(conn: Connection, wish_id: str, seq: int) -> None:
    conn.execute(training_wish.update().where(training_wish.c.id == wish_id).values(removed_seq=seq))


def _entries(draft: TrainingDraft) -> Json:
    """The uses as the assertion's ``entries`` have them."""
    told: Json = {}
    for use, choice in sorted(draft.uses.items()):
        one: Json = {"use": choice}
        if use in draft.constraints:
            one["constraint_info"] = draft.constraints[use]
        told[use] = one
    return told


def _wish(row: Row[Any]) -> TrainingWish:
    return TrainingWish(
        id=row.id, claimant=row.claimant, work=row.work, url=row.url, sha256=row.sha256, uses=row.uses,
        source=row.source, seq=row.log_seq, removed_seq=row.removed_seq,
    )  # fmt: skip
