"""What commands print: one JSON document on stdout with --json, words for people on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.credentials.text import safe_text

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
COULD_NOT: Final = 3

words = Console(stderr=True, highlight=False, soft_wrap=True)

Home = Annotated[
    Path | None, typer.Option("--home", help="Home folder; default COUNTERMARK_HOME or ~/.countermark.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def say(text: str, style: str | None = None) -> None:
    """A line for a person, on stderr; nothing in it is taken as markup or as terminal control."""
    words.print(safe_text(text, 4000), style=style, markup=False)


def answer(document: Any) -> None:
    """The JSON document of a command, on stdout."""
    sys.stdout.write(
        json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None) + "\n"
    )
    sys.stdout.flush()


class Bar:
    """One progress bar over seconds of clip; it shows only on a terminal."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(safe_text(name, 60), total=None)

    def step(self, name: str) -> None:
        """Begin another step under the same bar."""
        self._progress.update(self._task, description=safe_text(name, 60), completed=0)

    def at(self, done: float, total: float = 0.0) -> None:
        """Seconds of clip done, of `total` (0: unknown)."""
        self._progress.update(self._task, completed=done, total=total or None)


@contextmanager
def bar(name: str) -> Iterator[Bar]:
    """A progress bar for work over a second; silent where stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f} s of clip"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=words, transient=True, disable=not words.is_terminal) as progress:
        yield Bar(progress, name)
