"""Triggers of migration r0005, in SQLite's dialect; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG, _about

TRANSITIONS: Final = {
    "draft": ("provisional", "active", "rejected", "withdrawn", "expired"),
    "provisional": ("active", "rejected", "disputed", "withdrawn", "expired"),
    "active": ("disputed", "withdrawn"),
    "disputed": ("active", "rejected", "withdrawn"),
}
"""From which state a claim may go to which; what is not here is final."""

_PARTY: Final = "'party'"
_DELEGATION: Final = "'delegation'"
_CLAIM: Final = "'claim'"
_ERASURE: Final = "'erasure'"
_LEGAL: Final = " OR ".join(
    f"(OLD.state = '{before}' AND NEW.state IN ({', '.join(repr(after) for after in targets)}))"
    for before, targets in TRANSITIONS.items()
)
_PARTY_NOT_LOGGED: Final = (
    f"NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = {HEAD_OF_LOG} AND e.kind = 'party' "  # noqa: S608
    "AND json_extract(e.entry, '$.public.party') = NEW.id)"
)
_STATE_NOT_LOGGED: Final = (
    "NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.changed_seq "
    "AND json_extract(e.entry, '$.public.state') = NEW.state)"
)
_CLAIM_OF_SUBJECT: Final = (
    "NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.changed_seq AND e.kind = 'claim' "
    "AND json_extract(e.entry, '$.public.claim') = NEW.claim_id "
    "AND json_extract(e.entry, '$.public.subject') = NEW.id)"
)
_NOT_OF_THE_DEAD: Final = (
    "NEW.died_on IS NOT NULL AND (NEW.kind IS NOT 'person' OR NOT EXISTS (SELECT 1 FROM estate t "
    "WHERE t.party_id = NEW.party_id AND t.normal = NEW.normal AND t.died_on = NEW.died_on))"
)
_FOREIGN_WORK: Final = (
    "NEW.work_id IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM work w WHERE w.id = NEW.work_id AND w.party_id = NEW.party_id)"
)
_WORK: Final = "the work belongs to another party"
_OF_THE_DEAD: Final = "only who speaks for a dead person registers them, with the day of death told before"

PARTIES: Final = [
    _refuse(
        "party_fixed", "UPDATE OF id, name, normal, created_at", "party", "1", "these columns never change"
    ),
    _refuse(
        "party_told", "UPDATE OF kind, verified_level", "party", _PARTY_NOT_LOGGED,
        "a change needs the log entry at the head that says so",
    ),
    _refuse(
        "party_kind_once", "UPDATE OF kind", "party", "OLD.kind IS NOT NULL AND OLD.kind IS NOT NEW.kind",
        "the kind is told once",
    ),
    *_fixed("estate"), _new("estate", "t.party_id = NEW.party_id"),
    _refuse(
        "estate_kind", "INSERT", "estate",
        "NOT EXISTS (SELECT 1 FROM party p WHERE p.id = NEW.party_id AND p.kind IN ('estate', 'person'))",
        "an estate or an heir speaks for the dead",
    ),
    *_fixed("work"), _new("work", "t.id = NEW.id", "t.party_id = NEW.party_id AND t.normal = NEW.normal"),
]  # fmt: skip

SUBJECTS: Final = [
    _refuse("subject_work", "INSERT", "subject", _FOREIGN_WORK, _WORK),
    _refuse("subject_work_moved", "UPDATE OF work_id", "subject", _FOREIGN_WORK, _WORK),
    _refuse("subject_dead", "INSERT", "subject", _NOT_OF_THE_DEAD, _OF_THE_DEAD),
    _refuse("subject_died", "UPDATE OF died_on", "subject", _NOT_OF_THE_DEAD, _OF_THE_DEAD),
    _refuse(
        "subject_starts_unclaimed", "INSERT", "subject", "NEW.claim_id IS NOT NULL",
        "a claim is filed after its subject",
    ),
    _refuse(
        "subject_claimed", "UPDATE OF claim_id", "subject",
        f"OLD.claim_id IS NOT NEW.claim_id AND {_CLAIM_OF_SUBJECT}",
        "another claim needs the log entry that files it",
    ),
]  # fmt: skip

DELEGATIONS: Final = [
    _new("delegation", "t.id = NEW.id"),
    *_fixed(
        "delegation",
        columns="id, from_party, to_party, scope, acts, may_subdelegate, valid_from, valid_until, log_seq",
    ),
    _refuse(
        "delegation_logged", "INSERT", "delegation",
        f"NEW.revoked_seq IS NOT NULL OR {_about(_DELEGATION, 'delegation', 'log_seq')}",
        "a delegation starts in force, with the log entry at the head that grants it",
    ),
    _refuse(
        "delegation_revoked_once", "UPDATE OF revoked_seq", "delegation",
        f"OLD.revoked_seq IS NOT NULL OR {_about(_DELEGATION, 'delegation', 'revoked_seq')}",
        "a delegation is revoked once, with the log entry at the head that says so",
    ),
]  # fmt: skip

CLAIMS: Final = [
    _new("claim", "t.id = NEW.id"),
    *_fixed("claim", columns="id, kind, party_id, by_party, path, release_id, created_at, log_seq"),
    _refuse(
        "claim_logged", "INSERT", "claim",
        "NEW.state NOT IN ('draft', 'provisional', 'active') OR NEW.changed_seq IS NOT NEW.log_seq "
        f"OR {_STATE_NOT_LOGGED} OR {_about(_CLAIM, 'claim', 'log_seq')}",
        "a claim starts with the log entry at the head that files it",
    ),
    _refuse(
        "claim_changed_logged", "UPDATE OF state, subject_id, due_at, disputed_by, draft, changed_seq",
        "claim",
        f"NEW.changed_seq <= OLD.changed_seq OR {_STATE_NOT_LOGGED} "
        f"OR {_about(_CLAIM, 'claim', 'changed_seq')}",
        "a change needs the log entry at the head that says so",
    ),
    _refuse(
        "claim_transition", "UPDATE OF state", "claim",
        f"OLD.state IS NOT NEW.state AND NOT ({_LEGAL})", "a claim does not go from this state to that one",
    ),
    _refuse(
        "claim_subject_once", "UPDATE OF subject_id", "claim",
        "OLD.subject_id IS NOT NULL AND OLD.subject_id IS NOT NEW.subject_id",
        "the subject of a claim stays the same",
    ),
    _refuse(
        "claim_over", "UPDATE OF state", "claim",
        "NEW.state IN ('rejected', 'withdrawn', 'expired') AND EXISTS "
        "(SELECT 1 FROM subject s WHERE s.claim_id = NEW.id AND s.state = 'active')",
        "the subject must be out of force first",
    ),
    _refuse(
        "claim_forgotten", "UPDATE OF statements, signature", "claim",
        "NEW.statements IS NOT '{}' OR NEW.signature IS NOT ''",
        "what was stated is forgotten as a whole, or stays",
    ),
]  # fmt: skip

EVIDENCE: Final = [
    _new("evidence", "t.id = NEW.id"),
    *_fixed("evidence", columns="id, claim_id, sha256, media_type, size, note, added_at, purge_at, log_seq"),
    _refuse(
        "evidence_logged", "INSERT", "evidence",
        f"NEW.purged_seq IS NOT NULL OR {_about(_PARTY, 'evidence', 'log_seq')}",
        "evidence starts with the log entry at the head that says so",
    ),
    _refuse(
        "evidence_purged_once", "UPDATE OF purged_at, purged_seq", "evidence",
        f"OLD.purged_seq IS NOT NULL OR {_about(_ERASURE, 'evidence', 'purged_seq')}",
        "evidence is purged once, with the log entry at the head that says so",
    ),
    *_fixed("evidence_access"), _new("evidence_access", "t.id = NEW.id"),
]  # fmt: skip

BEFORE: Final = ["DROP TRIGGER party_fixed"]
ALL: Final = [*PARTIES, *SUBJECTS, *DELEGATIONS, *CLAIMS, *EVIDENCE]
