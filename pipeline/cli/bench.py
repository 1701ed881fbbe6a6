"""`countermark bench NAME`: run a benchmark of the source checkout."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.errors import UsageError

ROOT: Final = Path(__file__).resolve().parents[2]


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the benchmark, e.g. release.", show_default=False)],
) -> int:
    """Run `python -m benchmarks.NAME` with the options that follow; benchmarks are not installed."""
    folder = ROOT / "benchmarks"
    if not folder.is_dir():
        raise UsageError("benchmarks run from a source checkout only; clone the repository and run it there")
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem not in ("__init__", "common"))
    if name not in names:
        raise UsageError(f"there is no benchmark {name[:40]!r}; choose one of: {', '.join(names)}")
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *context.args], cwd=ROOT, check=False
    ).returncode
