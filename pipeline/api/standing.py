"""What waits in a service, and whether it can take work: for its metrics and for who sends it requests."""

import shutil
from typing import Final

from sqlalchemy import func, select

from pipeline.api.metrics import Standing
from pipeline.api.state import Service
from pipeline.settings import MIB
from pipeline.workbench import OURS
from registry import log
from registry.cases import OPEN
from registry.db import read
from registry.tables import held, job
from registry.tables_appeals import appeal, key_suspension
from registry.tables_imports import import_request
from registry.tables_recalls import review_case
from registry.tables_rules import permission
from registry.types import JobState

READY: Final = "ready"


def standing(here: Service) -> list[Standing]:
    """The gauges. What the database cannot answer now is left out, so that it is seen to be missing."""
    pools = {"looks": here.looks, "views": here.views, "gates": here.gates, "wishes": here.wishes}
    taken = {"jobs": here.runner.running} | {name: pool.taken for name, pool in pools.items()}
    found = [
        Standing(
            name="countermark_pool_places_taken", about="Places taken in a pool, waiting or at work.",
            label="pool", values=taken,
        )
    ]  # fmt: skip
    try:
        return found + _of_database(here)
    except OURS:
        return found


def _of_database(here: Service) -> list[Standing]:
    with read(here.app.engine) as conn:
        jobs = conn.execute(select(func.count()).where(job.c.state == JobState.OPEN)).scalar_one()
        holds = conn.execute(select(func.count()).where(held.c.lifted_at.is_(None))).scalar_one()
        cases = conn.execute(select(func.count()).where(review_case.c.state == OPEN)).scalar_one()
        asked = conn.execute(select(func.count()).where(permission.c.state == "asked")).scalar_one()
        head, seq = log.head(conn), log.registry_seq(conn)
        suspended = conn.execute(
            select(func.count()).select_from(key_suspension).where(key_suspension.c.lifted_seq.is_(None))
        ).scalar_one()
        imports = conn.execute(
            select(func.count()).select_from(import_request).where(import_request.c.finished_at.is_(None))
        ).scalar_one()
        appeals = conn.execute(select(func.count()).where(appeal.c.state == OPEN)).scalar_one()
    waiting = {"open jobs": jobs, "held clips": holds, "cases of releases": cases, "permissions": asked,
               "appeals": appeals, "suspended keys": suspended, "imports": imports}  # fmt: skip
    return [
        Standing(
            name="countermark_waiting", about="What waits for a process, a person or a rights holder.",
            label="what", values=waiting,
        ),
        Standing(
            name="countermark_log_entries", about="The last entry, and the last that can change a verdict.",
            label="which", values={"all": head, "changing a verdict": seq},
        ),
        Standing(
            name="countermark_view_behind_entries",
            about="Entries that this process has not followed yet; it does when it is asked.",
            label="", values={"": max(0, seq - here.app.followed)},
        ),
    ]  # fmt: skip


def troubles(here: Service) -> dict[str, str]:
    """What this process needs to take work, each with ``ready`` or what is wrong."""
    return {
        "process": _process(here), "models": _models(here), "registry": _registry(here),
        "files": _files(here), "disk": _disk(here),
    }  # fmt: skip


def _process(here: Service) -> str:
    return "it is stopping" if here.stopping.is_set() else READY


def _models(here: Service) -> str:
    return READY if here.loaded.is_set() else "they are being loaded"


def _registry(here: Service) -> str:
    """The database answers, and this process has caught up with it."""
    try:
        here.app.catch_up()
    except OURS as error:
        return str(error)
    return READY


def _files(here: Service) -> str:
    """The file store answers; a folder of the home always does."""
    try:
        here.app.store.demand_ready()
    except OURS as error:
        return str(error)
    return READY


def _disk(here: Service) -> str:
    least = here.settings.min_free_mib
    try:
        free = shutil.disk_usage(here.settings.home).free // MIB
    except OSError as error:
        return f"the home cannot be asked for its free space ({error.strerror})"
    return READY if free >= least else f"only {free} MiB of disk are free; {least} are wanted"
