"""Raw SQL against parties, delegations and claims: what happened is neither changed nor invented."""

from typing import Any

import pytest
from party_builders import BY, delegate, party, said
from registry_builders import NOW, Home

from registry import claims, log, parties
from registry.claim_log import TRANSITIONS
from registry.db import write
from registry.errors import ConstraintBroken
from registry.party_types import Estate
from registry.types import OptOut

ID = "00000000-0000-7000-8000-000000000000"
STATES = ("draft", "provisional", "active", "rejected", "disputed", "withdrawn", "expired")


@pytest.fixture
def made(home: Home) -> OptOut:
    """One of everything."""
    owner = party(home, "Owner")
    delegate(home, owner, party(home, "Agency", "agency"))
    party(home, "Estate", "estate", of=Estate(deceased="Jane", died_on="2001-09-10"))
    return said(home, owner, work="The Film")


def attempt(home: Home, statement: str, entry: tuple[str, Any] | None = None) -> None:
    with write(home.engine) as conn:
        if entry is not None:
            log.append(conn, *entry, None, NOW)
        conn.exec_driver_sql(statement)


def refused(home: Home, statement: str, entry: tuple[str, Any] | None = None) -> None:
    with pytest.raises(ConstraintBroken):
        attempt(home, statement, entry)


FIXED = {
    "party": "id, name, normal, created_at, kind, verified_level",
    "estate": "party_id, deceased, normal, died_on, log_seq",
    "work": "id, party_id, title, normal, created_at",
    "delegation": "id, from_party, to_party, scope, acts, may_subdelegate, valid_from, valid_until, log_seq",
    "claim": "id, kind, party_id, by_party, path, release_id, created_at, log_seq, state, subject_id, "
    "due_at, disputed_by, draft, changed_seq, statements, signature",
}


@pytest.mark.parametrize("table", FIXED)
def test_nothing_is_rewritten_deleted_or_replaced(home: Home, made: OptOut, table: str) -> None:
    home.opt_out("another")  # so that the head of the log is about something else
    anew = "INSERT OR REPLACE" if home.engine.dialect.name == "sqlite" else "INSERT"
    for statement in (
        f"{anew} INTO {table} SELECT * FROM {table}",
        *(f"UPDATE {table} SET {column} = {column}" for column in FIXED[table].split(", ")),
    ):
        refused(home, statement)
    if table not in ("claim", "delegation"):
        refused(home, f"DELETE FROM {table}")


def test_rows_of_delegations_and_claims_are_kept(home: Home, made: OptOut) -> None:
    for table in ("claim", "delegation"):
        refused(home, f"DELETE FROM {table}")


@pytest.mark.parametrize("before", TRANSITIONS)
def test_a_claim_goes_only_where_it_may(home: Home, made: OptOut, before: str) -> None:
    """Each state is reached lawfully; then every other is tried, with a log entry that says so."""
    claim, subject = made.claim, made.subject
    if before == "draft":
        from registry.party_types import Terms

        claim = said(home, claims_owner(home), "Draft", terms=Terms(cap=0)).claim
        subject = ""
    elif before != "provisional":
        act = {"active": claims.decide, "disputed": claims.dispute}[before]
        how: dict[str, Any] = {"accept": True} if before == "active" else {"by": None}
        act(home.engine, claim or "", why={}, **how, **BY)  # type: ignore[operator]
    for state in STATES:
        public = {"claim": claim, "subject": subject or None, "state": state}
        moved = "changed_seq = (SELECT max(seq) FROM log_entry)"
        statement = f"UPDATE claim SET state = '{state}', draft = NULL, {moved} WHERE id = '{claim}'"
        ends = state in ("rejected", "withdrawn", "expired") and bool(subject)  # the subject is in force
        if state != before and (state not in TRANSITIONS[before] or ends):
            refused(home, statement, ("claim", public))
        refused(home, statement, ("claim", public | {"state": "other"}))
        refused(home, statement, ("claim", public | {"claim": ID}))
        refused(home, statement, ("rule", public))


def claims_owner(home: Home) -> Any:
    return parties.find(home.engine, "Owner")


def test_what_was_stated_can_only_be_forgotten(home: Home, made: OptOut) -> None:
    refused(home, 'UPDATE claim SET statements = \'{"authority":"no"}\'')
    refused(home, "UPDATE claim SET signature = 'Somebody'")
    refused(home, "UPDATE claim SET statements = '{}', signature = ''")  # it counts; see erasure


@pytest.mark.parametrize(
    ("statement", "kind", "public"),
    [
        ("UPDATE party SET verified_level = 'trusted' WHERE name = 'Owner'", "party", {"party": ID}),
        ("UPDATE party SET verified_level = 'trusted' WHERE name = 'Owner'", "rule", {"party": "OWNER"}),
        ("UPDATE party SET kind = 'person' WHERE name = 'Owner'", "party", {"party": "OWNER"}),
        ("UPDATE delegation SET revoked_seq = HEAD", "delegation", {"delegation": ID}),
        ("UPDATE delegation SET revoked_seq = HEAD", "party", {"delegation": "DELEGATION"}),
        ("UPDATE subject SET claim_id = NULL, changed_seq = HEAD", "claim", {"subject": "SUBJECT"}),
        ("UPDATE subject SET claim_id = NULL, changed_seq = HEAD", "opt-out", {"subject": "SUBJECT"}),
        ("UPDATE subject SET died_on = '2001-09-10', changed_seq = HEAD", "opt-out", {"subject": "SUBJECT"}),
        (f"UPDATE subject SET work_id = '{ID}', changed_seq = HEAD", "opt-out", {"subject": "SUBJECT"}),
    ],
)
def test_what_has_no_right_entry_does_not_happen(
    home: Home, made: OptOut, statement: str, kind: str, public: dict[str, str]
) -> None:
    with write(home.engine) as conn:
        names = {
            "OWNER": parties.named(conn, "Owner").id, "SUBJECT": made.subject,
            "DELEGATION": str(conn.exec_driver_sql("SELECT id FROM delegation").scalar()),
        }  # fmt: skip
    told = {key: names.get(value, value) for key, value in public.items()}
    refused(home, statement.replace("HEAD", "(SELECT max(seq) FROM log_entry)"), (kind, told))


def test_only_who_speaks_for_the_dead_registers_them(home: Home, made: OptOut) -> None:
    moved = "changed_seq = (SELECT max(seq) FROM log_entry)"
    entry = ("opt-out", {"subject": made.subject, "action": "add"})
    attempt(home, f"UPDATE subject SET mode = 'ask', {moved}", entry)
    refused(home, f"UPDATE subject SET died_on = '2001-09-10', {moved}", entry)


def test_what_starts_wrong(home: Home, made: OptOut) -> None:
    columns = FIXED["claim"]
    for state in ("disputed", "rejected", "expired", "withdrawn"):
        values = columns.replace("id,", f"'{ID}',", 1).replace(" state,", f" '{state}',")
        public = {"claim": ID, "subject": None, "state": state}
        values = values.replace("changed_seq", "HEAD").replace("log_seq", "HEAD")
        values = values.replace("HEAD", "(SELECT max(seq) FROM log_entry)")
        refused(home, f"INSERT INTO claim ({columns}) SELECT {values} FROM claim", ("claim", public))
    columns = FIXED["delegation"]
    values = columns.replace("id,", f"'{ID}',", 1).replace("log_seq", "(SELECT max(seq) FROM log_entry)")
    entry = ("delegation", {"delegation": ID})
    refused(home, f"INSERT INTO delegation ({columns}) SELECT {values} FROM delegation", ("party", entry[1]))
    for column, value in (("acts", "'[]'"), ("to_party", "from_party"), ("scope", "'x'")):
        wrong = values.replace(f" {column},", f" {value},")
        refused(home, f"INSERT INTO delegation ({columns}) SELECT {wrong} FROM delegation", entry)
    attempt(home, f"INSERT INTO delegation ({columns}) SELECT {values} FROM delegation", entry)
