"""Triggers of migration r0009: imports go forward only, and wishes about training have their log entry."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse
from registry.migrations.r0002_triggers import _about

_SAID: Final = "(SELECT json_extract(e.entry, '$.public.action') FROM log_entry e WHERE e.seq = NEW.{0})"
_STARTS: Final = _SAID.format("log_seq")
_ENDS: Final = _SAID.format("end_seq")
_IMPORT, _TRAINING = "'import'", "'training'"
_RUN: Final = "FROM import_run r WHERE r.id = NEW.run_id"

IMPORTS: Final = [
    _new("import_run", "t.id = NEW.id", "t.digest = NEW.digest AND t.state <> 'done'"),
    _refuse(
        "import_run_starts", "INSERT", "import_run",
        f"NEW.state IS NOT 'running' OR NEW.next_line <> 1 "
        f"OR NEW.made + NEW.extended + NEW.unchanged + NEW.waiting + NEW.skipped <> 0 "
        f"OR {_STARTS} IS NOT 'begin' OR {_about(_IMPORT, 'import', 'log_seq')}",
        "an import begins with its log entry at the head, and with no line done",
    ),
    _refuse(
        "import_run_over", "UPDATE", "import_run", "OLD.state = 'done'", "what is done stays as it is"
    ),
    _refuse(
        "import_run_forward", "UPDATE", "import_run",
        "NEW.next_line < OLD.next_line OR NEW.made < OLD.made OR NEW.extended < OLD.extended "
        "OR NEW.unchanged < OLD.unchanged OR NEW.waiting < OLD.waiting OR NEW.skipped < OLD.skipped",
        "an import only goes forward",
    ),
    _refuse(
        "import_run_ends", "UPDATE OF state", "import_run",
        f"NEW.state = 'done' AND ({_ENDS} IS NOT 'end' OR {_about(_IMPORT, 'import', 'end_seq')} "
        f"OR NEW.made + NEW.extended + NEW.unchanged + NEW.waiting + NEW.skipped <> NEW.lines)",
        "an import ends with its log entry at the head, and with every line done",
    ),
    *_fixed("import_run", columns="id, digest, source, by_party, lines, started_at, log_seq"),
    _new("import_line", "t.run_id = NEW.run_id AND t.line = NEW.line"),
    _refuse(
        "import_line_once", "INSERT", "import_line",
        f"NOT EXISTS (SELECT 1 {_RUN} AND r.state = 'running' AND NEW.line >= r.next_line)",
        "the import is not running, or has passed this line",
    ),
    _refuse(
        "import_line_of", "INSERT", "import_line",
        "NEW.subject_id IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM subject s WHERE s.id = NEW.subject_id AND s.log_seq <= NEW.seq "
        "AND s.changed_seq >= NEW.seq)",
        "the subject is unknown, or the entry is not of its time",
    ),
    *_fixed("import_line"),
]  # fmt: skip

TRAINING: Final = [
    _new("training_wish", "t.id = NEW.id"),
    _refuse(
        "training_wish_logged", "INSERT", "training_wish",
        f"NEW.removed_seq IS NOT NULL OR {_STARTS} IS NOT 'assert' "
        f"OR {_about(_TRAINING, 'wish', 'log_seq')}",
        "a wish starts in force, with the log entry at the head that says so",
    ),
    _refuse(
        "training_wish_removed_once", "UPDATE OF removed_seq", "training_wish",
        "OLD.removed_seq IS NOT NULL OR NEW.removed_seq IS NULL OR NOT EXISTS "
        "(SELECT 1 FROM log_entry e WHERE e.seq = NEW.removed_seq AND e.kind = 'training' "
        "AND e.seq = (SELECT max(seq) FROM log_entry) "
        "AND coalesce(json_extract(e.entry, '$.public.replaces'), "
        "json_extract(e.entry, '$.public.wish')) = NEW.id)",
        "removed_seq is set once, to the entry at the head of the log that says so",
    ),
    *_fixed(
        "training_wish",
        columns="id, claimant, claimant_normal, work, url, sha256, uses, source, log_seq",
    ),
]  # fmt: skip

ALL: Final = [*IMPORTS, *TRAINING]
