"""The revision that opening a database compares with, without importing Alembic."""

from alembic.script import ScriptDirectory

from registry.db import HEAD
from registry.schema import alembic_config


def test_the_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
