"""`countermark consent`: persons let accounts show them, take it back, see and withdraw every clip."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import log, output, retroscan, speaking, use_options
from pipeline.cli.rule import document, told
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from registry.subject_types import SubjectRecord

app = typer.Typer(
    help="Consents of a person: grant, revoke, list, clips, withdraw-clips.", no_args_is_help=True
)

Person = Annotated[
    str, typer.Argument(help="The person's id, as `optout list` shows it.", show_default=False)
]
Account = Annotated[str | None, typer.Option(help="Only the clips of this account.")]


@app.command("grant")
@output.command
def grant(
    person: Person,
    account: Annotated[str, typer.Option(help="The account; the command line's own is `local`.")],
    since: use_options.From = None,
    until: use_options.Until = None,
    region: use_options.Regions = None,
    purpose: use_options.Purposes = None,
    content: use_options.Contents = None,
    cap_account: use_options.CapAccount = None,
    cap_all: use_options.CapAll = None,
    credit: use_options.Credit = "",
    reference: use_options.Reference = "",
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Consent to one account showing the person, within conditions."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import rules

    conditions = use_options.conditions_of(
        region, purpose, content, cap_account=cap_account, cap_all=cap_all, credit=credit,
        reference=reference,
    )  # fmt: skip
    with open_app(load(home)) as opened:
        _person(opened, person)
        made = rules.grant_licence(
            opened.engine, person, account, valid_from=since, valid_until=until, conditions=conditions,
            by=speaking.party_of(opened.engine, by), now=clock(), sign_checkpoint=opened.signer,
        )  # fmt: skip
        receipt = log.rule_receipt(opened, made.id)
    output.say(f"Consent {made.id}: {told(made)}.")
    if as_json:
        output.answer(_consent(document(made)) | {"receipt": receipt})
    return output.OK


@app.command("revoke")
@output.command
def revoke(
    consent: Annotated[str, typer.Argument(help="The consent's id.", show_default=False)],
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Take a consent back: jobs in flight cannot leave, and what left under it is withdrawn."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import rules

    with open_app(load(home)) as opened:
        who = speaking.party_of(opened.engine, by)
        seq = rules.revoke_licence(opened.engine, consent, by=who, now=clock(), sign_checkpoint=opened.signer)
        receipt = log.rule_receipt(opened, consent, removed=True)
        output.say(f"Revoked. Registry sequence {seq}; refused from the next request.")
        report = opened.retroscan()
    retroscan.say(report)
    if as_json:
        ended = {"consent": consent, "seq": seq, "receipt": receipt}
        output.answer(ended | {"retroscan": retroscan.document(report)})
    return output.OK


@app.command("list")
@output.command
def list_consents(person: Person, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """The consents of a person that are in force."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        record = _person(opened, person)
    rows = [row for row in record.rules if row.licence]
    for row in rows:
        output.say(f"  {row.id} {told(row)}")
    if as_json:
        output.answer([_consent(document(row)) for row in rows])
    return output.OK


@app.command("clips")
@output.command
def clips(
    person: Person, account: Account = None, home: output.Home = None, as_json: output.AsJson = False
) -> int:
    """Every release in which the person was found and allowed, newest first."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        _person(opened, person)
        rows = _clips(opened, person, account)
    for row in rows:
        output.say(f"  {row['release']} {row['state']}, {row['published_at']}, by {row['account']}")
    if as_json:
        output.answer(rows)
    return output.OK


@app.command("withdraw-clips")
@output.command
def withdraw_clips(
    person: Person,
    account: Account = None,
    why: Annotated[str, typer.Option(help="For the private part of the log.")] = "",
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Withdraw every release in which the person was found and allowed, each with a log entry."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import delegations, releases
    from registry.db import read

    with open_app(load(home)) as opened:
        _person(opened, person)
        who = speaking.party_of(opened.engine, by)
        with read(opened.engine) as conn:
            delegations.demand_for_subject(conn, who, person, "withdraw", clock())
        out = [row for row in _clips(opened, person, account) if row["state"] == "released"]
        for row in out:
            releases.withdraw(
                opened.engine, row["release"], why={"by": who or "person", "subject": person, "why": why},
                now=clock(), sign_checkpoint=opened.signer,
            )  # fmt: skip
            output.say(f"  withdrawn {row['release']}")
    output.say(f"{len(out)} clips were withdrawn.")
    if as_json:
        output.answer([row | {"state": "withdrawn"} for row in out])
    return output.OK


def _person(opened: "App", person: str) -> "SubjectRecord":
    from pipeline.errors import UsageError
    from registry import subjects
    from registry.errors import NotFound

    record = subjects.get(opened.engine, person)
    if record is None:
        raise NotFound(f"There is no person {person[:40]!r}; see countermark optout list.")
    if record.kind != "person":
        raise UsageError(f"{person} is no person but a {record.kind}; use countermark licence")
    return record


def _clips(opened: "App", person: str, account: str | None) -> list[dict[str, Any]]:
    from registry import releases, uses

    found = [
        releases.get(opened.engine, one) for one in uses.releases_of(opened.engine, person, account=account)
    ]
    return [
        {
            "release": one.id, "state": str(one.state), "published_at": one.published_at,
            "account": one.facts.get("account"), "sha256": one.file_sha256,
        }
        for one in found if one is not None
    ]  # fmt: skip


def _consent(row: dict[str, Any]) -> dict[str, Any]:
    return {"consent": row.pop("rule"), "person": row.pop("subject")} | row
