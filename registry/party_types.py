"""Who says something, for whom, by which right: parties, delegations, claims. Times are UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from registry.canonical import Json
from registry.errors import PartyInvalid

PARTY_KINDS: Final = ("person", "company", "association", "estate", "agency", "platform")
LEVELS: Final = ("claimed", "domain", "document", "trusted")
"""How far a party's identity was verified, from not at all; a party is unverified at the first."""
UNVERIFIED: Final = LEVELS[0]
ACTS: Final = ("register", "rules", "answer", "withdraw", "dispute")
PORTFOLIO: Final = "portfolio"
SCOPES: Final = ("all", "works", "kinds", "subjects")
CLAIM_KINDS: Final = (
    "opt_out", "notice_512", "dsa16", "likeness", "takedown48", "withdraw", "licence_grant",
)  # fmt: skip
DAY_SECONDS: Final = 86_400
CLAIM_DAYS: Final = 14
CLAIM_CAP: Final = 10
TAKEDOWN_HOURS: Final = 48
DRAFTS_MAX: Final = 100
"""Drafts that one unverified party may leave waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """Whose estate it is, and when they died (a day, ``2020-01-31``)."""

    deceased: str
    died_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """``kind``: None where nobody told it; ``estate``: for whom among the dead it speaks."""

    id: str
    name: str
    kind: str | None
    level: str
    created_at: str
    estate: Estate | None = None

    @property
    def verified(self) -> bool:
        """Whether what it says is in force without a clock."""
        return self.level != UNVERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an act is about; ``subject`` and ``work`` are None for what is not registered yet."""

    kind: str
    work: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a delegation covers: everything, or only these works, kinds of subjects, or subjects."""

    of: str = "all"
    items: frozenset[str] = frozenset()

    def covers(self, target: Target) -> bool:
        """Whether the target lies within."""
        if self.of == "all":
            return True
        if self.of == "works" and target.kind == PORTFOLIO:  # it speaks for all works, whatever it names
            return False
        told = {"works": target.work, "kinds": target.kind, "subjects": target.subject}[self.of]
        return told in self.items

    def to_json(self) -> Json:
        """The scope as it is stored."""
        return {"of": self.of, "items": [*sorted(self.items)]}

    @classmethod
    def from_json(cls, told: Mapping[str, object]) -> "Scope":
        """Read `to_json`'s document. Raises `PartyInvalid`."""
        of, items = told.get("of"), told.get("items")
        if not isinstance(of, str) or of not in SCOPES or not isinstance(items, list):
            raise PartyInvalid(f"A scope is one of: {', '.join(SCOPES)}.")
        return cls(of=of, items=frozenset(map(str, items)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """``to_party`` may do ``acts`` for ``from_party`` within ``scope`` and from ``valid_from`` to before
    ``valid_until``; ``revoked``: no more.
    """

    id: str
    from_party: str
    to_party: str
    scope: Scope
    acts: frozenset[str]
    may_subdelegate: bool
    valid_from: str | None
    valid_until: str | None
    revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Who says it (a party's id), as which kind of claim, with which statements, signed by whom.

    ``statements``: by their names (`registry.statements`); a plain yes is the text ``yes``.
    """

    by: str
    kind: str = "opt_out"
    statements: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For unverified parties. ``days``: how long a claim blocks before it must be verified; ``cap``: how
    many of one party's may block at a time.
    """

    days: int = CLAIM_DAYS
    cap: int = CLAIM_CAP


TERMS: Final = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a party (``party``) says through ``by`` (None: the operator) under the delegations ``path``.

    ``state``: draft | provisional | active | rejected | disputed | withdrawn | expired; ``due_at``: when its
    clock ends; ``seq``: the last log entry about it.
    """

    id: str
    kind: str
    party: str
    by: str | None
    path: tuple[str, ...]
    subject: str | None
    release: str | None
    statements: Mapping[str, str]
    signature: str
    state: str
    due_at: str | None
    disputed_by: str | None
    created_at: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A file that supports a claim; its bytes are gone after ``purged_at``."""

    id: str
    claim: str
    sha256: str
    media_type: str
    size: int
    note: str
    added_at: str
    purge_at: str
    purged_at: str | None
