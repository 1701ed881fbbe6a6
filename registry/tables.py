"""The tables as queries see them: names and types.

The constraints and triggers that make a wrong row impossible live in `registry.migrations`; a test
compares these columns with a migrated database.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Dialect, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

from registry.canonical import stored


class JsonText(TypeDecorator[Any]):
    """JSON kept as text with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write; None is SQL NULL."""
        return None if value is None else stored(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read."""
        return None if value is None else json.loads(value)


# PostgreSQL's INTEGER has 32 bits, and its REAL has half the digits.
Integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.DOUBLE_PRECISION().with_variant(sa.REAL(), "sqlite")

metadata = MetaData()

log_kind = Table(
    "log_kind",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("changes_verdict", Integer, nullable=False),
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("commitment", Text),
    Column("leaf_hash", LargeBinary, nullable=False),
)

log_private = Table(
    "log_private",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("private", Text, nullable=False),
)

log_node = Table(
    "log_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("tree_size", Integer, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Text, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("inputs", JsonText, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("result", JsonText),
    Column("finished_at", Text),
    Column("owner", Text),
    Column("last_step", Text, nullable=False),  # that was recorded
    Column("deaths", Integer, nullable=False),  # since then
    Column("worker", Text),
    Column("queued", Integer, nullable=False, server_default="0"),
    Column("account", Text, nullable=False),  # of the inputs, for lists
)

job_step = Table(
    "job_step",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("result", Text, nullable=False),  # JSON text: a step may well return null
    Column("recorded_at", Text, nullable=False),
)

held = Table(
    "held",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("reasons", JsonText, nullable=False),
    Column("registry_seq", Integer, nullable=False),
    Column("held_at", Text, nullable=False),
    Column("lifted_at", Text),
    Column("lifted_because", Text),
)

decision = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("checks", JsonText, nullable=False),
    Column("reasons", JsonText, nullable=False),
    Column("registry_seq", Integer, nullable=False),
    Column("decided_at", Text, nullable=False),
    Column("log_seq", Integer),  # None: made before decisions were logged
)

payload_counter = Table(
    "payload_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Integer, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("detected_payload", Text, nullable=False),
    Column("mark_log10_chance", REAL, nullable=False),
    Column("visible_variant", Integer, nullable=False),
    Column("urn", Text, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("manifest_sha256", Text, nullable=False),
    Column("signer_sha256", Text, nullable=False),
    Column("timestamped_at", Text, nullable=False),
    Column("reread_verdict", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("decision_verdict", Text, nullable=False),
    Column("checked_seq", Integer, nullable=False),
    Column("registry_seq", Integer, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("published_at", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_seq", Integer, nullable=False),
)

release_sight = Table(
    "release_sight",
    metadata,
    Column("release_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("vectors", LargeBinary, nullable=False),
    Column("times", LargeBinary, nullable=False),
    Column("boxes", LargeBinary, nullable=False),
    Column("sealed", Integer, nullable=False),
)

party = Table(
    "party",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("normal", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("kind", Text),
    Column("verified_level", Text, nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("id", Text, primary_key=True),
    Column("party_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("normal", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("attributes", JsonText, nullable=False),
    Column("exclusions", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("changed_seq", Integer, nullable=False),
    Column("work_id", Text),
    Column("died_on", Text),
    Column("claim_id", Text),
)

name = Table(
    "name",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("normal", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("context", JsonText, nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)

reference = Table(
    "reference",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("polarity", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)

space = Table(
    "space",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dimension", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
)

embedding = Table(
    "embedding",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("reference_sha256", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("polarity", Integer, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)

rule = Table(
    "rule",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_id", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("account", Text),
    Column("valid_from", Text),
    Column("valid_until", Text),
    Column("priority", Integer, nullable=False),
    Column("licence", Integer, nullable=False),
    Column("conditions", JsonText, nullable=False, server_default="{}"),
    Column("log_seq", Integer, nullable=False),
    Column("removed_seq", Integer),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("revoked_at", Text),
    Column("revoked_seq", Integer),
    Column("tags", JsonText, nullable=False, server_default="[]"),
)

log_cursor = Table(
    "log_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
)
