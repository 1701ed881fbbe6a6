"""The `countermark` command. Every command's module is imported when it is called, not before."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Final

import click
import typer

from pipeline.cli import bench, demo, guard, keys, output, verify
from pipeline.errors import CountermarkError, NotInstalled, UsageError, describe

INTERRUPTED: Final = 130

app = typer.Typer(
    name="countermark",
    help="Marks, signs and releases clips of a text-to-video generator; verifies any clip.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("guard")(guard.guard)
app.command("verify")(verify.verify)
app.command("demo")(demo.demo)
app.command("bench", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench.bench)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run a command; every error of ours is one sentence and an exit code, never a traceback."""
    try:
        _check_names()
        status = app(standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        output.say("Interrupted. Nothing is lost: the next guard goes on with what was begun.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; do not complain into the void at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(output.COULD_NOT)
    except ModuleNotFoundError as error:
        _fail(_missing(error))
    except Exception as error:  # noqa: BLE001 - the outermost handler: `describe` raises what is not ours
        _fail(error)
    sys.exit(status if isinstance(status, int) else output.OK)


def _fail(error: Exception) -> None:
    told = describe(error)
    output.say(f"countermark: {told.message}")
    if "--json" in sys.argv:
        output.answer({"error": {"code": told.code, "message": told.message}})
    sys.exit(told.exit_code)


def _missing(error: ModuleNotFoundError) -> CountermarkError:
    if (error.name or "").partition(".")[0] in ("sqlalchemy", "alembic", "asn1crypto"):
        return NotInstalled("this command makes releases; install it with: pip install 'countermark[guard]'")
    raise error


def _check_names() -> None:
    """PyPI has another package called `watermark`; say so instead of failing somewhere inside it."""
    ours = Path(__file__).resolve().parents[2]
    spec = importlib.util.find_spec("watermark")
    if spec is None or spec.origin is None or not Path(spec.origin).resolve().is_relative_to(ours):
        raise UsageError("another package called `watermark` hides ours; run: pip uninstall watermark")


if __name__ == "__main__":
    main()
