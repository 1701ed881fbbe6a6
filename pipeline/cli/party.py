"""`countermark party`: who says something, and how far it was verified who that is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import optout, output
from pipeline.errors import UsageError
from pipeline.settings import load

if TYPE_CHECKING:
    from registry.party_types import Party

app = typer.Typer(help="Parties: rights holders, and who acts for them.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(metavar="PARTY", help="The party's name or id.", show_default=False)]


@app.command("add")
@output.command
def add(
    name: Annotated[str, typer.Argument(help="What the party is called.", show_default=False)],
    kind: Annotated[
        str, typer.Option(help="person, company, association, estate, agency or platform.")
    ] = "company",
    level: Annotated[
        str, typer.Option(help="How far it is verified: claimed (not at all), domain, document or trusted.")
    ] = "claimed",
    estate_of: Annotated[str | None, typer.Option(help="The dead person for whom it speaks.")] = None,
    died_on: Annotated[str | None, typer.Option(help="The day they died, such as 2020-01-31.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Record a party. What an unverified one says blocks provisionally, within a cap."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import parties
    from registry.party_types import Estate

    if (estate_of is None) != (died_on is None):
        raise UsageError("for an estate name both: --estate-of NAME --died-on DAY")
    of = None
    if estate_of is not None and died_on is not None:
        of = Estate(deceased=plain("estate-of", estate_of), died_on=died_on)
    with open_app(load(home)) as opened:
        made = parties.add(
            opened.engine, plain("name", name), kind, level=level, of=of, now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
    _say(made)
    if as_json:
        output.answer(_document(made))
    return output.OK


@app.command("list")
@output.command
def list_parties(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """List parties, oldest first."""
    from pipeline.app import open_app
    from registry import parties

    found: list[Party] = []
    with open_app(load(home)) as opened:
        while page := parties.list_parties(opened.engine, after=found[-1].id if found else "", limit=500):
            found += page
    for one in found:
        _say(one)
    output.say(f"{len(found)} {'party' if len(found) == 1 else 'parties'}.")
    if as_json:
        output.answer([_document(one) for one in found])
    return output.OK


@app.command("show")
@output.command
def show(party: Who, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Show a party with its works and open claims."""
    from pipeline.app import open_app
    from registry import claims, parties

    with open_app(load(home)) as opened:
        found = parties.find(opened.engine, party)
        works = parties.works(opened.engine, found.id)
        filed = claims.list_claims(opened.engine, party_id=found.id, limit=1_000)
    _say(found)
    for work_id, title in works:
        output.say(f"  work {title} ({work_id})")
    for one in filed:
        output.say(f"  claim {one.id}: {one.kind}, {one.state}")
    if as_json:
        output.answer(
            _document(found) | {
                "works": [{"id": work_id, "title": title} for work_id, title in works],
                "claims": [{"id": one.id, "kind": one.kind, "state": one.state} for one in filed],
            }
        )  # fmt: skip
    return output.OK


@app.command("verify")
@output.command
def verify(
    party: Who,
    level: Annotated[str, typer.Option(help="claimed, domain, document or trusted.")] = "document",
    why: Annotated[str, typer.Option(help="What was seen; it is kept, and not public.")] = "",
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Record how far a party is verified; what it claimed provisionally is active by that."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.optouts.order import plain
    from registry import claims, parties

    settings = load(home)
    with open_app(settings) as opened:
        found = parties.find(opened.engine, party)
        done = claims.verify(
            opened.engine, found.id, level, why={"why": plain("why", why)}, terms=settings.terms, now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
        found = parties.find(opened.engine, found.id)
        _say(found)
        output.say(f"{len(done)} {'claim is' if len(done) == 1 else 'claims are'} active by that.")
        waiting = [one.id for one in claims.list_claims(opened.engine, party_id=found.id, state="draft")]
        for one in waiting:
            output.say(
                f"claim {one} still waits; countermark claim decide {one} --accept does it or says why."
            )
        if as_json:
            output.answer(_document(found) | {"active": done, "waiting": [*waiting]})
        return optout.look_back(opened) if done else output.OK


def _say(found: "Party") -> None:
    of = f", for {found.estate.deceased} who died on {found.estate.died_on}" if found.estate else ""
    output.say(f"{found.id}  {found.name} ({found.kind or 'kind not told'}, {found.level}{of})")


def _document(found: "Party") -> dict[str, Any]:
    of = found.estate
    return {
        "id": found.id, "name": found.name, "kind": found.kind, "level": found.level,
        "created_at": found.created_at,
        "estate": None if of is None else {"of": of.deceased, "died_on": of.died_on},
    }  # fmt: skip
