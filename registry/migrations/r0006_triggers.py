"""Triggers of migration r0006, in SQLite's dialect; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG, _about

_PERMISSION: Final = "'permission'"
_NOT_JUST_PUBLISHED: Final = (
    "NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id "  # noqa: S608
    f"AND r.log_seq = {HEAD_OF_LOG})"
)
_LAST: Final = "(SELECT coalesce(max(u.{0}), 0) + 1 FROM rule_use u WHERE u.rule_id = NEW.rule_id AND u.day = NEW.day{1})"  # noqa: E501

RULES: Final = [
    _refuse("rule_conditions_form", "INSERT", "rule", "NOT json_valid(NEW.conditions)", "conditions: JSON"),
    _refuse("rule_conditions_fixed", "UPDATE OF conditions", "rule", "1", "these columns never change"),
    _refuse("api_key_tags_form", "INSERT", "api_key", "NOT json_valid(NEW.tags)", "tags: JSON"),
    _refuse("api_key_tags_fixed", "UPDATE OF tags", "api_key", "1", "these columns never change"),
]

PERMISSIONS: Final = [
    _new("permission", "t.id = NEW.id"),
    _refuse(
        "permission_asked", "INSERT", "permission",
        f"NEW.state IS NOT 'asked' OR {_about(_PERMISSION, 'permission', 'log_seq')}",
        "a permission starts asked, with the log entry at the head that says so",
    ),
    _refuse(
        "permission_held", "INSERT", "permission",
        "NOT EXISTS (SELECT 1 FROM held h WHERE h.id = NEW.held_id AND h.job_id = NEW.job_id "
        "AND h.lifted_at IS NULL)",
        "only what is held asks for permission",
    ),
    *_fixed(
        "permission",
        columns="id, job_id, held_id, subject_id, party_id, account, purpose, intent, prompt, preview, "
        "asked_at, due_at, log_seq",
    ),
    _refuse(
        "permission_answered_once", "UPDATE OF state, answered_at, answer, rule_id, answer_seq", "permission",
        "OLD.state IS NOT 'asked' OR NEW.state = 'asked' "
        f"OR {_about(_PERMISSION, 'permission', 'answer_seq')}",
        "a permission is answered once, with the log entry at the head that says so",
    ),
]  # fmt: skip

USES: Final = [
    _new("rule_use", "t.release_id = NEW.release_id AND t.rule_id = NEW.rule_id"),
    *_fixed("rule_use"),
    _refuse(
        "rule_use_published", "INSERT", "rule_use", _NOT_JUST_PUBLISHED,
        "a use is recorded with the release, not later",
    ),
    _refuse(
        "rule_use_in_force", "INSERT", "rule_use",
        "NOT EXISTS (SELECT 1 FROM rule r WHERE r.id = NEW.rule_id AND r.effect = 'allow' "
        "AND r.removed_seq IS NULL)",
        "the rule allows nothing, or was taken back",
    ),
    _refuse(
        "rule_use_counted", "INSERT", "rule_use",
        f"NEW.number IS NOT {_LAST.format('number', '')} OR NEW.account_number IS NOT "
        + _LAST.format("account_number", " AND u.account = NEW.account"),
        "uses of a day are numbered without a gap",
    ),
    _refuse(
        "rule_use_capped", "INSERT", "rule_use",
        "EXISTS (SELECT 1 FROM rule r WHERE r.id = NEW.rule_id AND "
        "(NEW.number > CAST(json_extract(r.conditions, '$.cap_all') AS INTEGER) "
        "OR NEW.account_number > CAST(json_extract(r.conditions, '$.cap_account') AS INTEGER)))",
        "the rule is used up for this day",
    ),
    _new(
        "release_subject",
        "t.release_id = NEW.release_id AND t.subject_id = NEW.subject_id AND t.intent = NEW.intent",
    ),
    *_fixed("release_subject"),
    _refuse(
        "release_subject_published", "INSERT", "release_subject", _NOT_JUST_PUBLISHED,
        "who is in a release is recorded with it, not later",
    ),
]  # fmt: skip

ALL: Final = [*RULES, *PERMISSIONS, *USES]
