"""`countermark rule`: what an owner allows, wants to see or blocks, for whom, where, when and what for."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import log, output, retroscan, speaking, use_options
from pipeline.settings import load
from registry.vocabulary import EFFECTS

if TYPE_CHECKING:
    from registry.ruling import Ruling
    from registry.subject_types import RuleRow, SubjectRecord

app = typer.Typer(help="Rules of an opt-out: add, list, remove, explain.", no_args_is_help=True)

Subject = Annotated[
    str, typer.Argument(help="The subject's id, as `optout list` shows it.", show_default=False)
]
WORDS: Final = {"allow": "allowed", "review": "held for review", "block": "blocked"}


@app.command("add")
@output.command
def add(
    subject: Subject,
    effect: Annotated[str, typer.Argument(help=f"{', '.join(EFFECTS)}.", show_default=False)],
    account: Annotated[
        list[str] | None, typer.Option(help="Only this account; the command line's own is `local`.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only accounts with this tag; once for each.")] = None,
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
    ask: Annotated[
        bool, typer.Option("--ask", help="With review: ask the holder, who may lift the hold.")
    ] = False,
    priority: Annotated[
        int, typer.Option(help="Of two rules as narrow and as strict, the higher counts.")
    ] = 0,
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Add a rule. What is out and would not be let out now is withdrawn."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import rules

    accounts = account or []
    conditions = use_options.conditions_of(
        region, purpose, content, intent, cap_account=cap_account, cap_all=cap_all, credit=credit,
        reference=reference, tags=tag, accounts=accounts if len(accounts) > 1 else None, ask=ask,
    )  # fmt: skip
    with open_app(load(home)) as opened:
        made = rules.set_rule(
            opened.engine, subject, effect, account=accounts[0] if len(accounts) == 1 else None,
            valid_from=since, valid_until=until, priority=priority, conditions=conditions,
            by=speaking.party_of(opened.engine, by), now=clock(), sign_checkpoint=opened.signer,
        )  # fmt: skip
        receipt = log.rule_receipt(opened, made.id)
        output.say(f"Rule {made.id} is in force: {told(made)}.")
        report = opened.retroscan() if effect != "allow" else None
    if report is not None:
        retroscan.say(report)
    if as_json:
        found = report and retroscan.document(report)
        output.answer(document(made) | {"retroscan": found, "receipt": receipt})
    return output.OK


@app.command("list")
@output.command
def list_rules(subject: Subject, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """The rules and licences of a subject that are in force, its own and those of its portfolio."""
    from pipeline.app import open_app

    with open_app(load(home)) as opened:
        record = _record(opened.engine, subject)
    rows = [(row, False) for row in record.rules] + [(row, True) for row in record.inherited]
    output.say(f"{record.name} ({record.kind}, {record.owner}): mode {record.mode}.")
    for row, inherited in rows:
        output.say(f"  {row.id} {told(row)}{' (portfolio)' if inherited else ''}")
    if as_json:
        output.answer([document(row) | {"inherited": inherited} for row, inherited in rows])
    return output.OK


@app.command("remove")
@output.command
def remove(
    rule: Annotated[str, typer.Argument(help="The rule's id.", show_default=False)],
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Take a rule out of force. What left under it, and would not be let out now, is withdrawn."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import rules

    with open_app(load(home)) as opened:
        who = speaking.party_of(opened.engine, by)
        seq = rules.unset_rule(opened.engine, rule, by=who, now=clock(), sign_checkpoint=opened.signer)
        receipt = log.rule_receipt(opened, rule, removed=True)
        output.say(f"Removed. Registry sequence {seq}; it does not count from the next request on.")
        report = opened.retroscan()
    retroscan.say(report)
    if as_json:
        ended = {"rule": rule, "seq": seq, "receipt": receipt}
        output.answer(ended | {"retroscan": retroscan.document(report)})
    return output.OK


@app.command("explain")
@output.command
def explain(
    subject: Subject,
    account: Annotated[str, typer.Option(help="Who asks; the command line's own is `local`.")] = "local",
    region: use_options.Region = "",
    purpose: use_options.Purpose = "",
    content: use_options.ContentClass = "",
    tag: use_options.Tags = None,
    intent: Annotated[str, typer.Option(help="depict, or style.")] = "depict",
    at: Annotated[str | None, typer.Option(help="When, RFC 3339 in UTC; default: now.")] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """What would count for an account now, which rule won, which lost and why. Nothing is written."""
    from dataclasses import asdict, replace

    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.orders import ask_of, use_json
    from registry import uses, vocabulary
    from registry.ruling import ruling

    use = use_json(use_options.use_of(region, purpose, content, tag))
    vocabulary.check_word("intent", intent, vocabulary.INTENTS)
    now = at or clock()
    with open_app(load(home)) as opened:
        record = _record(opened.engine, subject)
        capped = uses.capped((*record.rules, *record.inherited))
        used = uses.today(opened.engine, capped, account, now)
    ask = replace(ask_of({"account": account, "use": use}), intent=intent, uses=used)
    found = ruling(record, ask, now)
    _say(record, found)
    if as_json:
        output.answer({"subject": record.id, "account": account, "at": now, **asdict(found)})
    return output.OK if found.outcome == "allow" else output.FOUND


def told(row: "RuleRow") -> str:
    """A rule in words."""
    conditions = row.conditions
    whom = [row.account] if row.account is not None else list(conditions.accounts)
    parts = [
        row.effect,
        "asks the holder" if conditions.ask else "",
        f"for {', '.join(whom)}" if whom else "",
    ]
    parts += [
        f"{name} {', '.join(words)}"
        for name, words in (
            ("tag", conditions.tags), ("in", conditions.regions), ("for", conditions.purposes),
            ("about", conditions.content),
        ) if words
    ]  # fmt: skip
    parts += [f"job {conditions.job}" if conditions.job else "", conditions.intent]
    caps = ((conditions.cap_account, "an account"), (conditions.cap_all, "all"))
    parts += [f"{cap} a day for {of}" for cap, of in caps if cap is not None]
    parts += [f"credit “{conditions.credit}”" if conditions.credit else ""]
    parts += [
        f"from {row.valid_from}" if row.valid_from else "",
        f"until {row.valid_until}" if row.valid_until else "",
    ]
    return "; ".join(part for part in parts if part)


def document(row: "RuleRow") -> dict[str, Any]:
    """A rule, for a program."""
    from registry import rules

    return {**rules.document(row)}


def _record(engine: Any, subject: str) -> "SubjectRecord":
    from registry import subjects
    from registry.errors import NotFound

    record = subjects.get(engine, subject)
    if record is None:
        raise NotFound(f"There is no opt-out {subject[:40]!r}; see countermark optout list.")
    return record


def _say(record: "SubjectRecord", found: "Ruling") -> None:
    output.say(f"{record.name} ({record.owner}): {WORDS[found.outcome]}", style="bold")
    if found.rule is not None:
        rows = {row.id: row for row in (*record.rules, *record.inherited)}
        output.say(f"  won: {found.rule} {told(rows[found.rule])}")
    else:
        output.say(
            f"  no rule applies: {record.mode} is the subject's mode" if found.by == "mode" else "  withdrawn"
        )
    if found.softened:
        output.say(f"  softened: {found.softened}")
    for lost in found.lost:
        output.say(f"  lost: {lost.rule} {lost.effect}: {lost.why}")
    for other in found.not_applying:
        output.say(f"  does not apply: {other.rule} {other.effect}: {other.why}")
