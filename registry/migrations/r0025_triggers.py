"""Triggers of migration r0025: what was asked for stays, and what has ended stays so; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

ALL: Final = [
    _new("import_request", "t.id = NEW.id", "t.named = NEW.named"),
    *_fixed("import_request", columns="id, account, key_id, named, wanted, folder, created_at"),
    _refuse(
        "import_request_over", "UPDATE", "import_request", "OLD.finished_at IS NOT NULL",
        "what has ended stays as it is",
    ),
    _new("import_told", "t.request_id = NEW.request_id AND t.line = NEW.line"),
    *_fixed("import_told", deletable=True),
]  # fmt: skip
