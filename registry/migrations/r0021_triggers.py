"""Triggers and views of migration r0021: a process that was taken for dead stays dead; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

ALL: Final = [
    _refuse("job_queued_fixed", "UPDATE OF queued", "job", "1", "these columns never change"),
    *_fixed("worker", columns="id, host, pid, lease, started_at", deletable=True),
    _new("worker", "t.id = NEW.id"),
    _refuse(
        "worker_ended", "UPDATE", "worker", "OLD.ended_at IS NOT NULL", "a worker that ended stays ended"
    ),
    _refuse("worker_kept", "DELETE", "worker", "OLD.ended_at IS NULL", "only the rows of ended workers go"),
    _refuse(
        "job_worker_alive", "UPDATE OF worker", "job",
        "NEW.worker IS NOT NULL AND NEW.worker IS NOT OLD.worker AND NOT EXISTS "
        "(SELECT 1 FROM worker w WHERE w.id = NEW.worker AND w.ended_at IS NULL)",
        "the worker has ended",
    ),
    _refuse(
        "job_worker_owns", "UPDATE OF worker, owner", "job",
        "NEW.worker IS NOT NULL AND NEW.owner IS NULL", "a worker has a job by a token only",
    ),
]  # fmt: skip

# Open jobs that no worker has by a lease that is not over, nor wait for their first step.
_OPEN: Final = (
    "CREATE VIEW verify_open_job_v1 AS SELECT j.id AS job_id FROM job j WHERE j.state = 'open' "
    "AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = j.worker AND w.ended_at IS NULL "
    "AND w.seen_at + w.lease >= {now}) "
    "AND (j.queued = 0 OR j.owner IS NOT NULL OR EXISTS (SELECT 1 FROM job_step s WHERE s.job_id = j.id))"
)
_DROP: Final = "DROP VIEW verify_open_job_v1"
ON_SQLITE: Final = [_DROP, _OPEN.format(now="(julianday('now') - 2440587.5) * 86400.0")]
ON_POSTGRES: Final = [
    _DROP, _OPEN.format(now="CAST(extract(epoch FROM clock_timestamp()) AS double precision)"),
]  # fmt: skip
