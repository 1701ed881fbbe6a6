"""`countermark statements`: the statements of reasons of a period, for the DSA Transparency Database."""

import json
import sys
from typing import Annotated

import typer

from pipeline.cli import output
from pipeline.errors import UsageError
from pipeline.settings import load


def statements(
    since: Annotated[str, typer.Option(help="UTC, as 2026-01-31T00:00:00Z; default: the beginning.")] = "",
    until: Annotated[str, typer.Option(help="UTC, not included; default: now.")] = "",
    home: output.Home = None,
    as_json: output.AsJson = False,  # lines of JSON are all it prints
) -> int:
    """Print the statement of reasons of every hold, refusal, withdrawal and suspension of a period, as JSON
    Lines with the field names of the EU's DSA Transparency Database. They name nobody.
    """
    from pipeline.app import open_app
    from pipeline.statements import statement
    from registry import restrictions
    from registry.errors import EntryInvalid
    from registry.ids import parse_time

    try:
        for told in filter(None, (since, until)):
            parse_time(told)
    except EntryInvalid as error:
        raise UsageError(f"{error} Say it as --since 2026-01-31T00:00:00Z.") from None
    count = 0
    with open_app(load(home)) as opened:
        for page in restrictions.pages(opened.engine, since=since, until=until):
            sys.stdout.writelines(json.dumps(statement(found)) + "\n" for found in page)
            count += len(page)
    sys.stdout.flush()
    output.say(f"{count} {'statement' if count == 1 else 'statements'}.")
    return output.OK
