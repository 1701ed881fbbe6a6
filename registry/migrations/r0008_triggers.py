"""Triggers of migration r0008, in SQLite's dialect; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import HEAD_OF_LOG, _about

_CASE: Final = "'case'"

STOPS: Final = [
    _new("release_stop", "t.id = NEW.id"),
    *_fixed("release_stop", columns="id, release_id, cause, about, since_seq"),
    _refuse(
        "release_stop_stops", "INSERT", "release_stop",
        "NEW.lifted_seq IS NOT NULL OR NOT EXISTS "
        "(SELECT 1 FROM release r WHERE r.id = NEW.release_id AND r.state = 'withdrawn')",
        "what is stopped is withdrawn first",
    ),
    _refuse(
        "release_stop_lifted_once", "UPDATE OF lifted_seq", "release_stop",
        "OLD.lifted_seq IS NOT NULL OR NEW.lifted_seq IS NULL", "a stop is lifted once",
    ),
    _refuse(
        "release_not_stopped", "UPDATE OF state", "release",
        "NEW.state = 'released' AND EXISTS (SELECT 1 FROM release_stop s "
        "WHERE s.release_id = NEW.id AND s.lifted_seq IS NULL)",
        "something still stands against it",
    ),
]  # fmt: skip

CASES: Final = [
    _new("review_case", "t.id = NEW.id"),
    *_fixed("review_case", columns="id, kind, release_id, about, reasons, opened_at, log_seq"),
    _refuse(
        "review_case_logged", "INSERT", "review_case",
        f"NEW.state IS NOT 'open' OR {_about(_CASE, 'case', 'log_seq')}",
        "a case starts open, with the entry at the head of the log",
    ),
    _refuse(
        "review_case_closed_once", "UPDATE OF state, closed_at, closed_seq, decided_by, decision",
        "review_case",
        f"OLD.state <> 'open' OR NEW.state = 'open' OR {_about(_CASE, 'case', 'closed_seq')}",
        "a case is closed once, with the entry at the head of the log",
    ),
]  # fmt: skip

PARENTS: Final = [
    *_fixed("release_parent"),
    _new("release_parent", "t.release_id = NEW.release_id AND t.parent_id = NEW.parent_id"),
    _refuse(
        "release_parent_published", "INSERT", "release_parent",
        "NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id "  # noqa: S608
        f"AND r.log_seq = {HEAD_OF_LOG})",
        "parents are stored with the release, not later",
    ),
    _refuse(
        "release_parent_out", "INSERT", "release_parent",
        "NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.parent_id AND r.state = 'released')",
        "a parent that was withdrawn has no new children",
    ),
]  # fmt: skip

SCANS: Final = [
    _new("retro_scan", "t.id = NEW.id", "t.after_seq = NEW.after_seq AND t.since = NEW.since"),
    *_fixed("retro_scan", columns="id, after_seq, upto_seq, since, until, begun_at"),
    _refuse(
        "retro_scan_follows", "INSERT", "retro_scan",
        "NEW.state IS NOT 'open' OR EXISTS (SELECT 1 FROM retro_scan s WHERE s.state = 'open' "
        "OR s.upto_seq > NEW.after_seq OR s.until > NEW.since)",
        "a scan begins where the last one ended",
    ),
    _refuse(
        "retro_scan_goes_on", "UPDATE", "retro_scan",
        "OLD.state = 'done' OR (OLD.state = 'late' AND NEW.state = 'open') "
        "OR NEW.compared < OLD.compared OR NEW.unclear < OLD.unclear "
        "OR (OLD.position <> '' AND (NEW.position = '' OR NEW.position > OLD.position))",
        "a scan goes from the newest to the oldest, once",
    ),
    _refuse(
        "retro_scan_done", "UPDATE OF state", "retro_scan",
        "NEW.state = 'done' AND EXISTS (SELECT 1 FROM retro_late l WHERE l.scan_id = NEW.id)",
        "some releases are still to be compared",
    ),
    *_fixed("retro_match"), *_fixed("retro_subject", columns="scan_id, subject_id"),
    _new(
        "retro_match",
        "t.scan_id = NEW.scan_id AND t.release_id = NEW.release_id AND t.about = NEW.about",
    ),
]  # fmt: skip

ALL: Final = [*STOPS, *CASES, *PARENTS, *SCANS]
