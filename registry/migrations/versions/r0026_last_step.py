"""Of a job's steps the last that was recorded: to write down the one that was begun took a write for each."""

from alembic import op

revision = "r0026"
down_revision = "r0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rename the column; jobs that are open get what is true of them by now."""
    op.execute("ALTER TABLE job RENAME COLUMN current_step TO last_step")
    op.execute(
        "UPDATE job SET last_step = coalesce((SELECT name FROM job_step WHERE job_id = job.id "
        "ORDER BY recorded_at DESC, name DESC LIMIT 1), '') WHERE state = 'open'"
    )
