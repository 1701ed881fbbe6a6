"""What rights holders register, as it is stored and returned. Times are UTC, digests lower-case hex."""

from dataclasses import dataclass, field

from registry.canonical import Json
from registry.vocabulary import NO_CONDITIONS, Conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRow:
    """A name of a subject. ``tier``: block | context (then one of the ``context`` words must be near);
    ``kind``: official | alias | nickname | native; ``language``: BCP 47, or empty; ``quarantined``: it
    matches too much and refuses nothing any more, see `registry.quarantine`.
    """

    subject: str
    text: str
    tier: str
    context: tuple[str, ...]
    kind: str
    language: str
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRow:
    """A vector of a subject: ``vector`` is float16[dimension], little endian.

    ``reference``: SHA-256 of the picture, empty for texts; ``kind``: picture | description | attribute |
    portrait; ``polarity``: +1, or -1 for a picture that must not match.
    """

    subject: str
    reference: str
    space: str
    kind: str
    polarity: int
    vector: bytes
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRow:
    """A registered picture, of which only the digest, the size and the vectors are kept."""

    subject: str
    sha256: str
    polarity: int
    width: int
    height: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """What an owner wishes for one account (or everybody: None), within a time (or always: None).

    ``effect``: allow | review | block. A licence, or a person's consent, is an allow for one account.
    ``conditions``: what else must hold (`registry.vocabulary`).
    """

    id: str
    subject: str
    effect: str
    account: str | None
    valid_from: str | None
    valid_until: str | None
    priority: int
    licence: bool
    conditions: Conditions = NO_CONDITIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRecord:
    """A subject with everything in force. A withdrawn one has no names, vectors or rules left.

    ``kind``: character | person | logo | artwork | portfolio; ``owner``: the name of the party ``party``;
    ``mode``: block | ask | allow where no rule applies; ``state``: active | withdrawn; ``seq``: the last
    log entry about it; ``standing``: of the claim behind it, provisional | active | disputed;
    ``inherited``: the rules of its owner's portfolios, which count after its own; ``portfolios``: their
    ids, and ``mode`` is the strictest of theirs and its own; ``claim``: the claim behind it, None for the
    operator's word; ``work``: the id of the work it belongs to; ``died_on``: the day a person died;
    ``quarantined``: digests of its pictures that match too much, and the empty one for all its words.
    """

    id: str
    kind: str
    name: str
    owner: str
    party: str
    mode: str
    description: str
    attributes: tuple[str, ...]
    exclusions: tuple[str, ...]
    names: tuple[NameRow, ...]
    vectors: tuple[VectorRow, ...]
    rules: tuple[RuleRow, ...]
    state: str
    seq: int
    standing: str = "active"
    inherited: tuple[RuleRow, ...] = ()
    portfolios: tuple[str, ...] = ()
    claim: str | None = None
    work: str | None = None
    died_on: str | None = None
    quarantined: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameDraft:
    """A name to register; the fields are those of `NameRow`."""

    text: str
    tier: str = "block"
    context: tuple[str, ...] = ()
    kind: str = "alias"
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDraft:
    """A picture to register, ``name``: what the owner calls the file."""

    sha256: str
    polarity: int
    width: int
    height: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorDraft:
    """A vector to register; ``reference``: the digest of its picture, or empty; else as `VectorRow`."""

    reference: str
    space: str
    kind: str
    polarity: int
    vector: bytes
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineDraft:
    """What to quarantine and why. ``kind``: picture | words | name; ``item``: the digest of a picture, a
    name, or empty for all words of a subject; ``figures``: what was measured.
    """

    kind: str
    item: str
    why: str
    figures: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutDraft:
    """What a rights holder says no to. ``context``: for names that need context and bring none;
    ``work``: the title of the work it belongs to; ``died_on``: of a person who died, the day;
    ``quarantine``: parts of it that match too much, and refuse nothing.
    """

    kind: str
    name: str
    owner: str
    names: tuple[NameDraft, ...] = ()
    description: str = ""
    attributes: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    mode: str = "block"
    references: tuple[ReferenceDraft, ...] = ()
    vectors: tuple[VectorDraft, ...] = ()
    work: str = ""
    died_on: str | None = None
    quarantine: tuple[QuarantineDraft, ...] = ()
