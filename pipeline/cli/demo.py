"""`countermark demo`: the main job on a clip that the program draws itself, and what can happen to it after.

Each act prints one JSON line with the expected and the found verdict; the exit code is 1 if any differs.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.errors import UsageError

MARKER: Final = ".countermark-demo"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for clips, contact sheet and reports.")] = Path(
        "demo-out"
    ),
    seconds: Annotated[float, typer.Option(min=2, max=60, help="Length of the clip.")] = 5.0,
) -> int:
    """Draw a clip, release it, attack it, and verify every stage; nothing leaves this machine."""
    from pipeline.cli.demo_stage import ACTS, RELEASED, Stage

    _prepare(out)
    stage = Stage(out, seconds)
    began = time.monotonic()
    found = [_tell("release", RELEASED, stage.release(), time.monotonic() - began)]
    for act in ACTS:
        output.say(f"{act.name}: {act.story}")
        began = time.monotonic()
        verdict = stage.verify(act)
        found.append(_tell(act.name, act.expected, verdict, time.monotonic() - began))
    sheet = stage.contact_sheet()
    output.say(f"Look at {sheet} and at the reports {out / 'report-*.html'}.", style="bold")
    return output.OK if all(found) else output.FOUND


def _tell(act: str, expected: str, found: str, seconds: float) -> bool:
    line: dict[str, Any] = {"act": act, "expected": expected, "found": found, "seconds": round(seconds, 2)}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return expected == found


def _prepare(out: Path) -> None:
    """An empty folder; only a folder of an earlier demo is ever removed."""
    if (out / MARKER).is_file():
        shutil.rmtree(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an earlier demo; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
