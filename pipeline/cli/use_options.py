"""Options that say what a clip is for, and those that make the conditions of a rule."""

from typing import TYPE_CHECKING, Annotated

import typer

from registry.vocabulary import CONTENT_CLASSES, INTENTS, PURPOSES, Conditions

if TYPE_CHECKING:
    from pipeline.orders import Use

Region = Annotated[str, typer.Option(help="Where the clip is shown: ISO 3166-1 alpha-2, as DE.")]
Purpose = Annotated[str, typer.Option(help=f"What the clip is for: {', '.join(PURPOSES)}.")]
ContentClass = Annotated[
    str, typer.Option("--content", help=f"What the clip is about: {', '.join(CONTENT_CLASSES)}.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the account; once for each.")]

Enhanced = Annotated[
    str | None, typer.Option("--enhanced-prompt", help="What an enhancer made of the prompt: judged, too.")
]

Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Only there: ISO 3166-1 alpha-2, EU or EEA; once for each."),
]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help=f"Only for: {', '.join(PURPOSES)}; once for each.")
]
Contents = Annotated[
    list[str] | None, typer.Option("--content", help=f"Only about: {', '.join(CONTENT_CLASSES)}.")
]
Intent = Annotated[
    str,
    typer.Option(help=f"Only {' or '.join(INTENTS)}: shown or named itself, or its name used as a style."),
]
CapAccount = Annotated[int | None, typer.Option(help="Releases a day (UTC) of one account under this rule.")]
CapAll = Annotated[int | None, typer.Option(help="Releases a day (UTC) of all accounts under this rule.")]
Credit = Annotated[str, typer.Option(help="The line that a release under this rule names.")]
Reference = Annotated[str, typer.Option("--reference", help="Your own number of the licence.")]
From = Annotated[str | None, typer.Option("--from", help="Beginning, RFC 3339 in UTC.")]
Until = Annotated[str | None, typer.Option(help="End, RFC 3339 in UTC.")]


def use_of(region: str, purpose: str, content: str, tags: list[str] | None) -> "Use":
    """What a clip is for. Words are checked where the order is recorded."""
    from pipeline.orders import Use

    return Use(region=region, purpose=purpose, content_class=content, tags=tuple(tags or ()))


def conditions_of(
    regions: list[str] | None, purposes: list[str] | None, contents: list[str] | None, intent: str = "",
    *, cap_account: int | None = None, cap_all: int | None = None, credit: str = "", reference: str = "",
    tags: list[str] | None = None, accounts: list[str] | None = None, ask: bool = False,
) -> Conditions:  # fmt: skip
    """The conditions of a rule. They are checked where the rule is set."""
    return Conditions(
        accounts=tuple(accounts or ()), tags=tuple(tags or ()), regions=tuple(regions or ()),
        purposes=tuple(purposes or ()), content=tuple(contents or ()), intent=intent,
        cap_account=cap_account, cap_all=cap_all, credit=credit, licence_ref=reference, ask=ask,
    )  # fmt: skip
