"""`countermark demo`: the whole story on embedded defaults, offline.

A server runs; opt-outs are made and requests are refused, held, recalled and released; then the release is
attacked and verified. Each act prints one JSON line with the expected and the found verdict; the exit code is
1 if any differs.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.settings import load

MARKER: Final = ".countermark-demo"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for clips, contact sheet and reports.")] = Path(
        "demo-out"
    ),
) -> int:
    """Opt out, be refused, held, recalled and released; attack the release and verify it. All offline."""
    from pipeline.cli.demo_server import served
    from pipeline.cli.demo_stage import ACTS, Stage
    from pipeline.cli.demo_story import SCENES, Story

    output.fresh_folder(out, MARKER, "an earlier demo")
    settings = load(out / "home")
    output.say("A server starts on this machine; it loads its models.")
    with served(settings, out / "server.log") as client:
        story = Story(out, client)
        right = [_act(one.name, one.story, one.expected, partial(one.play, story)) for one in SCENES]
    if not story.released.exists():
        output.say("Nothing was released, so there is nothing to verify.")
        return output.FOUND
    stage = Stage(out, settings, released=story.released)
    right += [_act(act.name, act.story, act.expected, partial(stage.verify, act)) for act in ACTS]
    sheet = stage.contact_sheet()
    output.say(f"Look at {sheet} and at the reports {out / 'report-*.html'}.", style="bold")
    return output.OK if all(right) else output.FOUND


def _act(name: str, story: str, expected: str, play: Callable[[], str]) -> bool:
    output.say(f"{name}: {story}")
    began = time.monotonic()
    found = play()
    line: dict[str, Any] = {
        "act": name, "expected": expected, "found": found, "seconds": round(time.monotonic() - began, 2)
    }  # fmt: skip
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return expected == found
