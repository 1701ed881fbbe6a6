"""What commands print: one JSON document on stdout with --json, words for people on stderr."""

import functools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.credentials.text import safe_text
from pipeline.errors import (
    CountermarkError,
    LimitExceeded,
    NotInstalled,
    StorageFailed,
    UsageError,
    describe,
)

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
COULD_NOT: Final = 3
INTERRUPTED: Final = 130
GUARD_EXTRA: Final = ("sqlalchemy", "alembic", "asn1crypto")
SERVE_EXTRA: Final = ("fastapi", "starlette", "uvicorn", "python_multipart", "jinja2")
CLASSIFY_EXTRA: Final = (
    "torch", "torchvision", "open_clip", "transformers", "faiss", "wordfreq", "ahocorasick_rs", "rapidfuzz",
    "anyascii", "confusable_homoglyphs",
)  # fmt: skip

P = ParamSpec("P")

words = Console(stderr=True, highlight=False, soft_wrap=True)

Home = Annotated[
    Path | None, typer.Option("--home", help="Home folder; default COUNTERMARK_HOME or ~/.countermark.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def say(text: str, style: str | None = None) -> None:
    """A line for a person, on stderr; nothing in it is taken as markup or as terminal control."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    words.print(indent + safe_text(text, 4000), style=style, markup=False)


def answer(document: Any) -> None:
    """The JSON document of a command, on stdout; in ASCII, since file names and terminals may be no UTF-8."""
    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None) + "\n")
    sys.stdout.flush()


def check_target(target: Path, *sources: Path) -> None:
    """Raises: UsageError when `target` cannot or should not be written, before any work is done."""
    name = safe_text(str(target))
    try:
        if target.is_symlink():
            raise UsageError(f"{name} is a symbolic link; name the file itself")
        if target.exists():
            _check_taken(target, name, sources)
        elif not target.absolute().parent.is_dir():
            raise UsageError(f"the folder of {name} does not exist; make it first")
    except OSError as error:
        raise UsageError(f"{name} cannot be written ({error.strerror}); name another file") from None


def fresh_folder(out: Path, marker: str, what: str) -> None:
    """Make an empty folder; only one that bears the marker of an earlier run is ever removed.

    Raises: UsageError for any other that is not empty. ``what``: what an earlier run is called.
    """
    if (out / marker).is_file():
        shutil.rmtree(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not {what}; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / marker).touch()


def _check_taken(target: Path, name: str, sources: tuple[Path, ...]) -> None:
    if not target.is_file():
        raise UsageError(f"{name} is not a file; name a file")
    if any(_same(target, source) for source in sources):
        raise UsageError("the output would overwrite the input; name another file")
    if target.stat().st_size:
        raise UsageError(f"{name} exists already; remove it or name another file")


def _same(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:  # one that is not there, or that cannot be read either
        return False


def command(work: Callable[P, int]) -> Callable[P, None]:
    """Make a command of a function that gives an exit code; errors of ours become one sentence and a code."""

    @functools.wraps(work)
    def run(*args: P.args, **options: P.kwargs) -> None:
        try:
            status = work(*args, **options)
        except KeyboardInterrupt:
            say("Interrupted. Nothing is lost: the next create or guard goes on with what was begun.")
            status = INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has gone; do not complain into the void at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = COULD_NOT
        except ModuleNotFoundError as error:
            status = _failed(_missing(error), options)
        except OSError as error:  # the last net: the machine refused something that no code of ours expected
            status = _failed(StorageFailed(_refusal(error)), options)
        except MemoryError:
            limit = LimitExceeded("there is not enough memory for this; use a smaller clip")
            status = _failed(limit, options)
        except Exception as error:  # noqa: BLE001 - `describe` raises again what is not ours
            status = _failed(error, options)
        raise typer.Exit(status)

    return run


def _failed(error: Exception, options: Mapping[str, object]) -> int:
    told = describe(error)
    say(f"countermark: {told.message}")
    if options.get("as_json"):
        answer({"error": {"code": told.code, "message": told.message}})
    return told.exit_code


def _refusal(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"the system refuses{where} ({error.strerror or type(error).__name__}); check it and try again"


def _missing(error: ModuleNotFoundError) -> CountermarkError:
    if (error.name or "").partition(".")[0] in GUARD_EXTRA:
        return NotInstalled("this command makes releases; install it with: pip install 'countermark[guard]'")
    if (error.name or "").partition(".")[0] in CLASSIFY_EXTRA:
        return NotInstalled(
            "this command looks at content; install it with: pip install 'countermark[classify]'"
        )
    if (error.name or "").partition(".")[0] in SERVE_EXTRA:
        return NotInstalled("this command serves; install it with: pip install 'countermark[serve]'")
    raise error


class Bar:
    """One progress bar; it shows only on a terminal."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(safe_text(name, 60), total=None)

    def step(self, name: str) -> None:
        """Begin another step under the same bar."""
        self._progress.update(self._task, description=safe_text(name, 60), completed=0)

    def at(self, done: float, total: float = 0.0) -> None:
        """How much is done, of `total` (0: unknown)."""
        self._progress.update(self._task, completed=done, total=total or None)


@contextmanager
def bar(name: str, unit: str = "s of clip") -> Iterator[Bar]:
    """A progress bar for work over a second, counting `unit`; silent where stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=words, transient=True, disable=not words.is_terminal) as progress:
        yield Bar(progress, name)


@contextmanager
def files_bar(name: str, total: int) -> Iterator[Bar]:
    """A progress bar over `total` files: how many are done, and how long the rest takes at that pace."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f} of {task.total:.0f} files"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=words, transient=True, disable=not words.is_terminal, speed_estimate_period=300
    ) as progress:
        shown = Bar(progress, name)
        shown.at(0, total)
        yield shown
