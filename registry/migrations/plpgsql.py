"""From the one text of triggers, which is SQLite's, to PostgreSQL's; frozen with the migrations that use it.

`r0001_triggers` says what a condition may hold.
"""

import re
from typing import Any, Final

import sqlalchemy as sa

_TRIGGER: Final = re.compile(
    r"CREATE TRIGGER (?P<name>\w+) BEFORE (?P<when>(?:INSERT|DELETE|UPDATE)[\w, ]*?) ON (?P<table>\w+) "
    r"WHEN (?P<rule>.+) BEGIN SELECT RAISE\(ABORT, (?P<message>'[^']*')\); END",
    re.DOTALL,
)
_DROP: Final = re.compile(r"DROP TRIGGER (\w+)")
_TRUTH: Final = {"1": "true", "0": "false"}

# SQLite has these; a condition calls them by the same name on both.
PRELUDE: Final = (
    """CREATE FUNCTION json_valid(told text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    BEGIN PERFORM told::json; RETURN told IS NOT NULL;
    EXCEPTION WHEN data_exception THEN RETURN false; END $$""",
    """CREATE FUNCTION json_extract(told text, path text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT told::json #>> string_to_array(substr(path, 3), '.') $$""",
    """CREATE FUNCTION json_type(told text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(told::json) WHEN 'string' THEN 'text'
    WHEN 'number' THEN CASE WHEN told ~ '[.eE]' THEN 'real' ELSE 'integer' END
    WHEN 'boolean' THEN trim(told) ELSE json_typeof(told::json) END $$""",
    """CREATE FUNCTION json_array_length(told text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(told::json) WHEN 'array' THEN json_array_length(told::json) ELSE 0 END $$""",
    """CREATE FUNCTION never_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',
    MESSAGE = TG_TABLE_NAME || ': rows are never deleted as a whole'; END $$""",
)


def translated(statement: str) -> list[str]:
    """Return PostgreSQL's statements for one of SQLite's: a trigger, the end of one, or anything plain."""
    made = _TRIGGER.fullmatch(statement)
    if made is not None:
        return _trigger(**made.groupdict())
    gone = _DROP.fullmatch(statement)
    if gone is not None:
        return [f"DROP FUNCTION {gone.group(1)}() CASCADE"]  # the trigger goes with its function
    if "RAISE(" in statement or statement.startswith(("DROP TRIGGER", "PRAGMA")):
        raise ValueError(f"PostgreSQL has no such statement: {statement}")
    return [statement]


def condition(text: str) -> str:
    """Return a condition of a trigger as PostgreSQL reads it; what stands in quotes stays as it is."""
    if text in _TRUTH:
        return _TRUTH[text]
    parts = re.split(r"('[^']*')", text)
    return "".join(part if part.startswith("'") else _plain(part) for part in parts)


def ported(items: list[sa.schema.SchemaItem]) -> list[sa.schema.SchemaItem]:
    """Give the columns of a table PostgreSQL's types.

    Text is compared bytewise, whatever the database's collation: ids and times are ordered as text.
    Integers have 64 bits, numbers the full precision of a double. Of two constraints of one name, which
    SQLite allows, the second gets another.
    """
    names = set[str]()
    for item in items:
        if isinstance(item, sa.Column):
            item.type = _type(item.type)
        elif isinstance(item, sa.CheckConstraint):
            name = str(item.name)
            item.name = f"{name}_too" if name in names else name
            names.add(name)
    return items


def never_truncated(table: str) -> str:
    """Return the trigger against TRUNCATE, which would delete rows without a DELETE trigger."""
    return (
        f"CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION never_truncated()"
    )


def _type(given: Any) -> Any:
    if isinstance(given, sa.Text):
        return sa.Text(collation="C")
    if isinstance(given, sa.Integer):
        return sa.BigInteger()
    if isinstance(given, sa.REAL):
        return sa.DOUBLE_PRECISION()
    return given


def _plain(text: str) -> str:
    text = re.sub(r"\bIS NOT\b(?!\s+(?:NULL|DISTINCT)\b)", "IS DISTINCT FROM", text)
    return re.sub(r"\bIS\b(?!\s+(?:NOT|NULL|DISTINCT)\b)", "IS NOT DISTINCT FROM", text)


def _trigger(name: str, when: str, table: str, rule: str, message: str) -> list[str]:
    row = "OLD" if when == "DELETE" else "NEW"
    body = (
        f"BEGIN IF ({condition(rule)}) THEN "  # brackets: a CASE has a THEN, too
        f"RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = {message}; "
        f"END IF; RETURN {row}; END"
    )
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $trigger$ {body} $trigger$",
        f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]
