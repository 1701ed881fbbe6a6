"""The whole chain against a plain transcode: a minute of 1080p through `countermark guard`, every check on.

Rounds of (guard on a warm home, a plain x264 transcode of the same clip by PyAV), so that a ratio compares
commands that ran next to each other. The goal's transcode is at preset medium; that at the preset of releases
tells the cost of everything but the encoder. The registry holds one character with drawn references, so that
frames are embedded and compared as in a service. The clip is drawn unless `--clip` names one.
"""

import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks import common
from benchmarks.common import Conditions, Row, median, once, say
from benchmarks.long_clip import EVERY, MINUTE, draw, memory
from benchmarks.release import GOAL_PRESET, plain_transcode
from benchmarks.tools.processes import COUNTERMARK, CommandFailed, Finished, Watched, run, watch
from benchmarks.tools.video import contents
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_clip
from generator.embedded.world.scene import random_scene
from pipeline.settings import load

SUITE: Final = "chain"
SIZE: Final = (1920, 1080)
POLICY: Final = "opt-out"
GOAL: Final = 1.5  # of wall time
REFERENCES: Final = 3
REFERENCE_SIDE: Final = 256
SEED: Final = 5
# A clip that a check holds is as much work; what was decided is told with the figures.
STATUSES: Final = (0, 1)


def protect(home: Path, folder: Path) -> None:
    """One opted-out character in a new home, drawn from the repository's own world. Raises: CommandFailed."""
    random = np.random.default_rng(SEED)
    design, names = random_design(random), []
    for number in range(REFERENCES):
        pictures = render_clip(
            design,
            random_scene(random),
            width=REFERENCE_SIDE,
            height=REFERENCE_SIDE,
            frames=1,
            frame_rate=1.0,
        )
        names.append(f"reference-{number}.png")
        Image.fromarray(next(iter(pictures))).save(folder / names[-1])
    subject = {"kind": "character", "name": "Bramblewick Otterby", "references": names, "owner": "A studio"}
    listed = folder / "optouts.ndjson"
    listed.write_text(json.dumps(subject) + "\n")
    run([*COUNTERMARK, "optout", "add", "--from", str(listed), "--home", str(home), "--json"])


def measure(folder: Path, clip: Path, rounds: int) -> list[Row]:
    """All rows. Raises: CommandFailed."""
    settings = load(folder / "home")
    presets = list(dict.fromkeys((GOAL_PRESET, settings.preset)))
    guards: list[Watched] = []
    plains: dict[str, list[Finished]] = {preset: [] for preset in presets}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: guard")
        home = (
            folder / f"home-{number}"
        )  # in the same one, the same clip would be the job that is done already
        protect(home, folder)
        guards.append(_guarded(clip, folder / f"released-{number}.mp4", home))
        for preset in presets:
            say(f"round {number + 1} of {rounds}: plain x264 {preset}")
            target = str(folder / "plain.mp4")
            plains[preset].append(run(plain_transcode(clip, target, f"{settings.crf:g}", preset)))
    return [*_walls(clip, guards, plains), *_stages(guards), *memory("guard", guards[-1].samples, 1)]


def _guarded(clip: Path, target: Path, home: Path) -> Watched:
    command = [*COUNTERMARK, "guard", str(clip), "-o", str(target), "--policy", POLICY, "--audio", "accept"]
    return watch([*command, "--home", str(home), "--json"], every=EVERY, allowed=STATUSES)


def _walls(clip: Path, guards: list[Watched], plains: dict[str, list[Finished]]) -> list[Row]:
    about = contents(clip)
    decision = json.loads(guards[-1].finished.output)["decision"]
    told: Conditions = {
        "width": about.width, "height": about.height, "frames": about.frames, "seconds": about.seconds,
        "policy": POLICY, "verdict": decision["verdict"],
    }  # fmt: skip
    done = [watched.finished for watched in guards]
    rows = [*_spent("guard", done, told)]
    for preset, others in plains.items():
        rows += _spent(f"plain x264 {preset}", others, told)
        pairs = list(zip(done, others, strict=True))
        against = {**told, "against": preset}
        walls = [guard.seconds / other.seconds for guard, other in pairs]
        goal = {"goal": GOAL, "reached": max(walls) <= GOAL} if preset == GOAL_PRESET else {}
        rows.append(median("guard over plain transcode, wall", walls, "ratio", {**against, **goal}))
        work = [guard.cpu_seconds / other.cpu_seconds for guard, other in pairs]
        rows.append(median("guard over plain transcode, processor", work, "ratio", against))
    return rows


def _spent(command: str, runs: list[Finished], told: Conditions) -> list[Row]:
    named = {**told, "command": command}
    return [
        median("wall seconds", [one.seconds for one in runs], "s", named),
        median("processor seconds", [one.cpu_seconds for one in runs], "s", named),
    ]


def _stages(guards: list[Watched]) -> list[Row]:
    """Seconds of each step, and its share of the command's wall time; the rest is starting and loading."""
    found = [(json.loads(watched.finished.output)["stages"], watched.finished.seconds) for watched in guards]
    rows = []
    for stage in dict.fromkeys(name for stages, _ in found for name in stages):
        seconds = [stages[stage] for stages, _ in found if stage in stages]
        rows.append(median("stage seconds", seconds, "s", {"stage": stage}))
        share = [stages[stage] / wall for stages, wall in found if stage in stages]
        rows.append(median("share of guard's wall time", share, "share of time", {"stage": stage}))
    rest = [1 - sum(stages.values()) / wall for stages, wall in found]
    return [*rows, median("share of guard's wall time", rest, "share of time", {"stage": "the rest"})]


def main() -> None:
    """The command."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--clip", type=Path, help="a clip to use in place of the drawn minute")
    parser.add_argument("--rounds", type=common.whole(1), default=2)
    asked = parser.parse_args()
    at_commit, rows = common.commit(), common.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = asked.clip or folder / "minute.mp4"
        if asked.clip is None:
            say(f"drawing {MINUTE:.0f} s of {SIZE[0]}×{SIZE[1]}")
            draw(clip, 1, SIZE)
        try:
            rows += [*measure(folder, clip, asked.rounds), once("rounds", asked.rounds, "count")]
        except CommandFailed as error:
            parser.exit(3, f"{error}\n")
    common.present(SUITE, [*rows, *common.machine()], at_commit, as_json=asked.json)


if __name__ == "__main__":
    main()
