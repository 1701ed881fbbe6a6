"""What the storyboards of the pages take: clicks, fields, and the seconds that the service lets one wait.

A newcomer that is a program goes through them in Chromium, which runs no script, on a service whose models
are loaded: (a) an opt-out with three pictures, another spelling and a sentence that is tried; (b) a case that
a person decides, since a clip shows one of these pictures, and the case after it; (c) a clip that is checked;
(d) a clip that is made, and looked at by somebody else. A program neither reads nor hesitates:
seconds are those of the machine, clicks and fields those of a person. Choosing files counts as two clicks.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from playwright.sync_api import Browser, Page

from benchmarks import common
from benchmarks.common import Conditions, Row, once, say
from benchmarks.tools import newcomers
from benchmarks.tools.newcomers import Hand
from pipeline.api.service import make_service
from pipeline.clock import clock
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.starting import required_eyes
from registry import apikeys, releases, sessions
from registry.store import Area
from registry.types import JobState

SUITE: Final = "storyboards"
WIDTHS: Final = (1280, 390)  # pixels
NAMES: Final = {1280: "Vorplewick Tamm", 390: "Yibberlunt Osk"}
PICTURES: Final = 3
PROMPT: Final = "a red ball rolls across green grass"


@contextmanager
def served(home: Path) -> Iterator[tuple[str, Any]]:
    """A service on a port of this machine, with its models loaded: its address, and its application."""
    settings = load(home)
    app = make_service(settings, eyes=required_eyes(settings))
    with newcomers.listening(app, lifespan="on") as address:
        yield address, app


def drawn(folder: Path, seed: int) -> Path:
    """A picture with shapes in it."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 232, np.uint8)
    for _ in range(16):
        centre = [int(value) for value in rng.integers(0, (640, 480))]
        colour = [int(value) for value in rng.integers(0, 255, 3)]
        cv2.circle(picture, centre, int(rng.integers(16, 110)), colour, -1)
    path = folder / f"view {seed}.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def filmed(folder: Path, picture: Path, shift: int) -> Path:
    """A clip that pans over a picture, a second long; ``shift``: pixels, so that no two are the same."""
    read: Any = cv2.imread(str(picture))
    shown: Any = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
    path = folder / f"{picture.stem} {shift}.mp4"
    with av.open(str(path), "w") as made:
        track = made.add_stream("libx264", rate=12)
        track.height, track.width = shown.shape[:2]
        track.pix_fmt = "yuv420p"
        for number in range(12):
            moved: Any = np.ascontiguousarray(np.roll(shown, shift + 2 * number, axis=1))
            made.mux(track.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        made.mux(track.encode())
    return path


def held(here: Any, clip: Path) -> None:
    """Have a clip held that shows what is registered."""
    order = GuardOrder(source=clip, policy="opt-out", sound=Sound.ACCEPT)
    outcome = here.app.guard(order, lambda *_: None)
    if outcome.job.state is not JobState.HELD:
        raise SystemExit(f"The clip was to be held and is {outcome.job.state}; nothing was measured.")


def rows_of(story: str, hand: Hand, width: int, seconds: float) -> list[Row]:
    """The figures of one storyboard."""
    told: Conditions = {"storyboard": story, "width": width}
    say(f"{story} at {width} px: {hand.clicks} clicks, {hand.fields} fields, {seconds:.1f} s")
    return [
        once("clicks", hand.clicks, "count", told), once("fields", hand.fields, "count", told),
        once("seconds", seconds, "s", told),
    ]  # fmt: skip


def link_for(here: Any, name: str, scope: str) -> str:
    """A link by which somebody signs in."""
    key, _ = apikeys.create(here.app.engine, "studio", name, (scope,), now=clock())
    return sessions.make_link(here.app.engine, key.id, clock())


def photographer(folder: Path | None, width: int) -> newcomers.Look:
    """Takes a picture of every page, if there is a folder for them."""

    def look(page: Page, name: str) -> None:
        if folder is not None:
            page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)

    return look


def measure(
    browser: Browser, address: str, here: Any, folder: Path, width: int, look: newcomers.Look
) -> list[Row]:
    """All storyboards at one width; the narrow one is dark."""
    came = partial(Hand.at, browser, address, width, script=False, dark=width == min(WIDTHS), look=look)
    pictures = [drawn(folder, 100 * width + number) for number in range(PICTURES)]
    with came() as hand:
        newcomers.say_no(hand, NAMES[width], pictures, f"a portrait of {NAMES[width]}")
        rows = rows_of("a: an opt-out", hand, width, hand.seconds)
    for shift in (0, 3):
        held(here, filmed(folder, pictures[0], shift))
    with came() as hand:
        newcomers.decide_case(hand, link_for(here, f"reviewer {width}", "review"))
        rows += rows_of("b: a case is decided", hand, width, hand.seconds)
        hand.clicks, hand.began = 0, time.monotonic()
        newcomers.decide_next(hand)
        rows += rows_of("b: the case after it", hand, width, hand.seconds)
    with came() as hand:
        newcomers.make_clip(hand, link_for(here, f"maker {width}", "create"), PROMPT)
        hand.page.wait_for_url("**/v/**")
        rows += rows_of("d: a clip is made", hand, width, hand.seconds)
    with came() as hand:
        newcomers.look_at_clip(hand)
        rows += rows_of("d: a clip is looked at", hand, width, hand.seconds)
    newest = releases.list_releases(here.app.engine, limit=1)[0]
    clip = folder / f"copy {width}.mp4"
    clip.write_bytes(here.app.store.find(Area.RELEASED, newest.file_sha256).read_bytes())
    with came() as hand:
        checked = newcomers.check_clip(hand, clip)
        say(f"headline: {checked.headline}")
        rows += rows_of("c: a clip is checked", hand, width, hand.seconds)
    told: Conditions = {"storyboard": "c: a clip is checked", "width": width}
    return [
        *rows, once("seconds to the first evidence", checked.first, "s", told),
        once("seconds to the headline", checked.last, "s", told),
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the pages; they take time, too")
    given, head, rows = parser.parse_args(), common.commit(), common.machine()
    found = newcomers.program()
    if found is None:
        raise SystemExit("Chromium is not installed: it is what this measures in")
    with tempfile.TemporaryDirectory(prefix="storyboards-") as name:
        folder = Path(name)
        with served(folder / "home") as (address, app), newcomers.chromium(found) as browser:
            for width in WIDTHS:
                look = photographer(given.shots, width)
                rows += measure(browser, address, app.state.service, folder, width, look)
    common.present(SUITE, rows, head, as_json=given.json)


if __name__ == "__main__":
    main()
