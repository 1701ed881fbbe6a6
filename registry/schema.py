"""The schema's revisions: what a database was written by, and bringing it up to date."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from registry.errors import RegistryUnusable, SchemaNewer

if TYPE_CHECKING:
    from alembic.config import Config

OURS = frozenset({"alembic_version", "log_entry"})


class Schema:
    """The revision that this installation reads and writes."""

    def __init__(self, head: str) -> None:
        """Take the newest revision."""
        self.head = head

    def check_tables(self, tables: set[str], name: str) -> bool:
        """Whether there is a registry; False for an empty database. Another program's is refused."""
        if tables and not tables >= OURS:
            raise RegistryUnusable(f"{name} is another program's database; choose another one.")
        return bool(tables)

    def check(self, rows: Sequence[str], name: str) -> str:
        """Return the revision of a registry; one that this installation does not know is refused."""
        if [*rows] != [self.head] and (len(rows) != 1 or rows[0] not in _known_revisions()):
            raise SchemaNewer(
                f"{name} was written by a newer Countermark (schema {[*rows]}); update this installation."
            )
        return rows[0]

    def upgrade(self, conn: Connection) -> None:
        """Migrate inside the caller's write transaction: all or nothing."""
        from alembic import command  # a tenth of a second, needed once per schema

        config = alembic_config()
        config.attributes["connection"] = conn
        command.upgrade(config, self.head)


def alembic_config() -> "Config":
    """Return what Alembic needs to know."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "registry:migrations")
    return config


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
