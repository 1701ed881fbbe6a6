"""`countermark licence`: an owner allows one account to use a subject, and takes it back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output, retroscan, speaking, use_options
from pipeline.settings import load
from registry.vocabulary import to_json

if TYPE_CHECKING:
    from registry.subject_types import RuleRow

app = typer.Typer(help="Licences and consents: allow one account, or take it back.", no_args_is_help=True)

Subject = Annotated[
    str, typer.Argument(help="The subject's id, as `optout list` shows it.", show_default=False)
]


@app.command("grant")
@output.command
def grant(
    subject: Subject,
    account: Annotated[str, typer.Option(help="The account; the command line's own is `local`.")],
    since: use_options.From = None,
    until: use_options.Until = None,
    region: use_options.Regions = None,
    purpose: use_options.Purposes = None,
    content: use_options.Contents = None,
    intent: use_options.Intent = "",
    cap_account: use_options.CapAccount = None,
    cap_all: use_options.CapAll = None,
    credit: use_options.Credit = "",
    reference: use_options.Reference = "",
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Allow an account what the opt-out forbids everybody else."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import receipts, rules
    from registry.db import read

    conditions = use_options.conditions_of(
        region, purpose, content, intent, cap_account=cap_account, cap_all=cap_all, credit=credit,
        reference=reference,
    )  # fmt: skip
    with open_app(load(home)) as opened:
        made = rules.grant_licence(
            opened.engine, subject, account, valid_from=since, valid_until=until, conditions=conditions,
            by=speaking.party_of(opened.engine, by), now=clock(), sign_checkpoint=opened.signer,
        )  # fmt: skip
        with read(opened.engine) as conn:
            receipt = receipts.of_rule(conn, made.id)
    output.say(f"Licence {made.id}: {account} may use {subject} until {until or 'it is revoked'}.")
    if as_json:
        output.answer(_document(made) | {"receipt": receipt})
    return output.OK


@app.command("revoke")
@output.command
def revoke(
    licence: Annotated[str, typer.Argument(help="The licence's id.", show_default=False)],
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Take a licence back: jobs in flight cannot leave, and what left under it is withdrawn."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import receipts, rules
    from registry.db import read

    with open_app(load(home)) as opened:
        who = speaking.party_of(opened.engine, by)
        seq = rules.revoke_licence(opened.engine, licence, by=who, now=clock(), sign_checkpoint=opened.signer)
        with read(opened.engine) as conn:
            receipt = receipts.of_rule(conn, licence, removed=True)
        output.say(f"Revoked. Registry sequence {seq}; refused from the next request.")
        report = opened.retroscan()
    retroscan.say(report)
    if as_json:
        told = {"licence": licence, "seq": seq, "retroscan": retroscan.document(report)}
        output.answer(told | {"receipt": receipt})
    return output.OK


@app.command("list")
@output.command
def list_licences(subject: Subject, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """The licences of a subject that are in force."""
    from pipeline.app import open_app
    from registry import subjects
    from registry.errors import NotFound

    with open_app(load(home)) as opened:
        record = subjects.get(opened.engine, subject)
    if record is None:
        raise NotFound(f"There is no opt-out {subject[:40]!r}; see countermark optout list.")
    rows = [_document(rule) for rule in record.rules if rule.licence]
    for row in rows:
        output.say(f"  {row['licence']} {row['account']}, until {row['until'] or 'it is revoked'}")
    if as_json:
        output.answer(rows)
    return output.OK


def _document(row: "RuleRow") -> dict[str, Any]:
    return {
        "licence": row.id, "subject": row.subject, "account": row.account, "from": row.valid_from,
        "until": row.valid_until, "conditions": to_json(row.conditions),
    }  # fmt: skip
