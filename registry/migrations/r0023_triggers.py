"""Triggers of migration r0023: appeals, and keys that are suspended; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import _about

_CASE: Final = "'case'"
_SUSPENSION: Final = "'suspension'"
_GOOD: Final = (
    "(SELECT count(*) FROM appeal_vote v WHERE v.appeal_id = NEW.id AND v.vote = 'grant' AND NOT EXISTS "
    "(SELECT 1 FROM api_key k WHERE k.id = v.key_id AND k.revoked_seq IS NOT NULL))"
)
_NEEDED: Final = (
    "(SELECT coalesce(max(v.needed), 1) FROM appeal_vote v WHERE v.appeal_id = NEW.id AND v.vote = 'grant')"
)
# Who voted on a hold of the job, or decided a case of the release, took part in the first decision.
_TOOK_PART: Final = (
    "EXISTS (SELECT 1 FROM appeal a JOIN held h ON h.job_id = a.job_id "
    "JOIN hold_vote v ON v.held_id = h.id WHERE a.id = NEW.appeal_id AND v.voter = NEW.voter) "
    "OR EXISTS (SELECT 1 FROM appeal a JOIN review_case c ON c.release_id = a.release_id "
    "WHERE a.id = NEW.appeal_id AND c.decided_by = NEW.voter)"
)

_NO_VOTE: Final = "NOT EXISTS (SELECT 1 FROM appeal_vote v WHERE v.appeal_id = NEW.id AND v.vote = 'uphold')"
_NOT_OPEN: Final = "NOT EXISTS (SELECT 1 FROM appeal a WHERE a.id = NEW.appeal_id AND a.state = 'open')"
_NO_KEY: Final = "NOT EXISTS (SELECT 1 FROM api_key k WHERE k.id = NEW.key_id)"

ALL: Final = [
    _refuse("job_account_fixed", "UPDATE OF account", "job", "1", "these columns never change"),
    _new("appeal", "t.id = NEW.id", "t.decision = NEW.decision"),
    *_fixed(
        "appeal", columns="id, decision, account, job_id, release_id, order_sha256, words, opened_at, log_seq"
    ),
    _refuse(
        "appeal_starts", "INSERT", "appeal",
        f"NEW.state IS NOT 'open' OR NEW.closed_at IS NOT NULL OR {_about(_CASE, 'case', 'log_seq')}",
        "an appeal starts open, with the entry at the head of the log",
    ),
    _refuse(
        "appeal_against", "INSERT", "appeal",
        "(NEW.release_id IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM job j WHERE j.id = NEW.job_id AND j.state = 'refused')) "
        "OR (NEW.release_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id "
        "AND r.job_id = NEW.job_id AND r.state = 'withdrawn'))",
        "only a job that was refused, or a release that was withdrawn, can be appealed against",
    ),
    _refuse(
        "appeal_closed_once", "UPDATE OF state, closed_at, closed_seq", "appeal",
        f"OLD.state IS NOT 'open' OR NEW.state IS 'open' OR {_about(_CASE, 'case', 'closed_seq')}",
        "an appeal is decided once, with the entry at the head of the log",
    ),
    _refuse(
        "appeal_decided", "UPDATE OF state", "appeal",
        f"(NEW.state = 'granted' AND {_GOOD} < {_NEEDED}) OR (NEW.state = 'upheld' AND {_NO_VOTE})",
        "as many people as are needed have to agree",
    ),
    _new("appeal_vote", "t.id = NEW.id", "t.appeal_id = NEW.appeal_id AND t.voter = NEW.voter"),
    *_fixed("appeal_vote"),
    _refuse(
        "appeal_vote_open", "INSERT", "appeal_vote",
        f"{_NOT_OPEN} OR {_about(_CASE, 'vote', 'log_seq')}",
        "only an open appeal is voted on, with the entry at the head of the log",
    ),
    _refuse(
        "appeal_vote_of_another", "INSERT", "appeal_vote", _TOOK_PART,
        "nobody decides about an appeal against their own decision",
    ),
    _new("key_suspension", "t.id = NEW.id", "t.key_id = NEW.key_id AND t.lifted_seq IS NULL"),
    *_fixed("key_suspension", columns="id, key_id, addresses, since, log_seq"),
    _refuse(
        "key_suspension_starts", "INSERT", "key_suspension",
        f"NEW.lifted_at IS NOT NULL OR NEW.lifted_seq IS NOT NULL OR {_NO_KEY} "
        f"OR {_about(_SUSPENSION, 'suspension', 'log_seq')}",
        "a suspension of a key starts in force, with the entry at the head of the log",
    ),
    _refuse(
        "key_suspension_lifted_once", "UPDATE OF lifted_at, lifted_seq", "key_suspension",
        f"OLD.lifted_seq IS NOT NULL OR {_about(_SUSPENSION, 'suspension', 'lifted_seq')}",
        "a suspension is lifted once, with the entry at the head of the log",
    ),
]  # fmt: skip
