"""What strangers had verified lately: remembered for hours, to recognise many near-duplicates of one clip."""

from collections.abc import Callable, Sequence

from sqlalchemy import Engine, select

from registry.db import write
from registry.ids import new_id
from registry.tables_queries import verify_query
from registry.types import Query


class Queries:
    """The queries of a registry. `pipeline.verify.near_duplicates` says which of them are alike."""

    def __init__(self, engine: Engine) -> None:
        """`engine`: of `registry.db.open_database`."""
        self._engine = engine

    def note(self, query: Query, *, now: str, since: str, admits: Callable[[Sequence[Query]], bool]) -> bool:
        """Ask `admits` about what was asked since then; if it agrees, remember the query. One transaction.

        What is older is deleted, whatever the answer is.
        """
        with write(self._engine) as conn:
            conn.execute(verify_query.delete().where(verify_query.c.asked_at < since))
            columns = (verify_query.c.asker, verify_query.c.file_sha256, verify_query.c.signature)
            known = [Query(*row) for row in conn.execute(select(*columns).order_by(verify_query.c.asked_at))]
            admitted = admits(known)
            if admitted and not any(one[:2] == query[:2] for one in known):
                conn.execute(verify_query.insert().values(id=new_id(now), asked_at=now, **query._asdict()))
        return admitted
