"""`countermark delegation`: a party lets another act for it, and takes that back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output, speaking
from pipeline.errors import UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from registry.party_types import Delegation

app = typer.Typer(help="Delegations: let a party act for another.", no_args_is_help=True)

Many = list[str] | None


@app.command("grant")
@output.command
def grant(
    giver: Annotated[str, typer.Argument(metavar="FROM", help="For whom it may act.", show_default=False)],
    to: Annotated[str, typer.Argument(metavar="TO", help="Who may act.", show_default=False)],
    work: Annotated[Many, typer.Option(help="Only for this work of FROM's; may be repeated.")] = None,
    kind: Annotated[Many, typer.Option(help="Only for this kind of subject; may be repeated.")] = None,
    subject: Annotated[Many, typer.Option(help="Only for this opt-out; may be repeated.")] = None,
    act: Annotated[
        Many, typer.Option(help="Only register, rules, answer, withdraw or dispute; may be repeated.")
    ] = None,
    may_subdelegate: Annotated[bool, typer.Option(help="TO may pass it on, three steps at most.")] = False,
    begin: Annotated[str | None, typer.Option("--from", help="From when on, RFC 3339 in UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, RFC 3339 in UTC.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Let a party act for another; what is passed on can only be less."""
    from pipeline.app import App, open_app
    from pipeline.clock import clock
    from registry import delegations, parties
    from registry.party_types import ACTS, Scope

    def scope(opened: App, party_id: str) -> Scope:
        told = [
            (of, items) for of, items in (("works", work), ("kinds", kind), ("subjects", subject)) if items
        ]
        if not told:
            return Scope()
        if len(told) > 1:
            raise UsageError("name works, kinds or opt-outs: one of them for a delegation")
        [(of, items)] = told
        if of == "works":
            items = parties.ensure_works(opened.engine, party_id, items, clock())
        return Scope(of=of, items=frozenset(items))

    with open_app(load(home)) as opened:
        one, other = parties.find(opened.engine, giver), parties.find(opened.engine, to)
        made = delegations.grant(
            opened.engine, one.id, other.id, scope=scope(opened, one.id), acts=act or ACTS,
            may_subdelegate=may_subdelegate, valid_from=begin, valid_until=until, now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
    output.say(f"Delegation {made.id}: {other.name} may act for {one.name}.", style="bold")
    if as_json:
        output.answer(_document(made))
    return output.OK


@app.command("revoke")
@output.command
def revoke(
    delegation: Annotated[str, typer.Argument(help="The delegation's id.", show_default=False)],
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Take a delegation back. What was registered under it stays; nothing new can be."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import delegations, parties

    with open_app(load(home)) as opened:
        who = None if by is None else parties.find(opened.engine, by).id
        seq = delegations.revoke(
            opened.engine, delegation, by=who, now=clock(), sign_checkpoint=opened.signer
        )
    output.say(f"Revoked. Registry sequence {seq:,}. Opt-outs made under it stay in force.")
    if as_json:
        output.answer({"delegation": delegation, "seq": seq})
    return output.OK


@app.command("list")
@output.command
def list_delegations(
    party: Annotated[str | None, typer.Option(help="Only from or to this party.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """List delegations, oldest first, revoked ones too."""
    from pipeline.app import open_app
    from registry import delegations, parties

    found: list[Delegation] = []
    with open_app(load(home)) as opened:
        who = None if party is None else parties.find(opened.engine, party).id
        while page := delegations.list_delegations(opened.engine, who, after=found[-1].id if found else ""):
            found += page
    for one in found:
        state = " (revoked)" if one.revoked else ""
        output.say(f"{one.id}  {one.from_party} → {one.to_party}: {', '.join(sorted(one.acts))}{state}")
    output.say(f"{len(found)} {'delegation' if len(found) == 1 else 'delegations'}.")
    if as_json:
        output.answer([_document(one) for one in found])
    return output.OK


def _document(one: "Delegation") -> dict[str, Any]:
    return {
        "id": one.id, "from": one.from_party, "to": one.to_party, "scope": one.scope.to_json(),
        "acts": sorted(one.acts), "may_subdelegate": one.may_subdelegate, "valid_from": one.valid_from,
        "valid_until": one.valid_until, "revoked": one.revoked,
    }  # fmt: skip
