"""Options of commands that a party may give in its own name; without them it is the operator who speaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from registry.party_types import Filing

By = Annotated[
    str | None, typer.Option("--by", help="The party that says so, by name or id; else it is the operator.")
]
Kind = Annotated[
    str | None, typer.Option("--claim", help="opt_out, or likeness for a person's (the default for persons).")
]
Statements = Annotated[
    list[str] | None,
    typer.Option(
        "--statement", help="What is stated: NAME, or NAME=TEXT; may be repeated (docs/parties.md)."
    ),
]
Signature = Annotated[str, typer.Option("--signature", help="The name of whoever signs.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """What these options said."""

    by: str | None
    kind: str | None = None
    statements: Sequence[str] = field(default=())
    signature: str = ""

    def filing(self, engine: "Engine", *, person: bool = False) -> "Filing | None":
        """The filing, None for the operator. Raises: UsageError, NotFound."""
        from pipeline.optouts.order import plain
        from registry import parties
        from registry.party_types import Filing

        if self.by is None:
            if self.kind not in (None, "withdraw") or self.statements or self.signature:
                raise UsageError("a claim is somebody's: name the party with --by")
            return None
        told = dict(_statement(one) for one in self.statements)
        if len(told) < len(self.statements):
            raise UsageError("a statement stands there twice; remove one")
        return Filing(
            by=parties.find(engine, plain("by", self.by)).id,
            kind=self.kind or ("likeness" if person else "opt_out"),
            statements={plain("statement", name): plain(name, text) for name, text in told.items()},
            signature=plain("signature", self.signature),
        )


def party_of(engine: "Engine", by: str | None) -> str | None:
    """The id of the party that acts, None for the operator. Raises: UsageError, NotFound."""
    from pipeline.optouts.order import plain
    from registry import parties

    return None if by is None else parties.find(engine, plain("by", by)).id


def _statement(told: str) -> tuple[str, str]:
    name, equals, text = told.partition("=")
    return name.strip().replace("-", "_"), text if equals else "yes"
