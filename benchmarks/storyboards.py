"""What the storyboards of the pages take: clicks, fields, and the seconds that the service lets one wait.

A newcomer that is a program goes through them in Chromium, which runs no script, on a service whose models
are loaded: (a) an opt-out with three pictures, another spelling and a sentence that is tried; (c) a clip that
is checked; (d) a clip that is made, and looked at by somebody else. A program neither reads nor hesitates:
seconds are those of the machine, clicks and fields those of a person. Choosing files counts as two clicks.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from playwright.sync_api import Browser, Page

from benchmarks import common
from benchmarks.common import Conditions, Row, once, say
from benchmarks.tools import newcomers
from benchmarks.tools.newcomers import Hand
from pipeline.api.service import make_service
from pipeline.clock import clock
from pipeline.settings import load
from pipeline.starting import required_eyes
from registry import apikeys, releases, sessions
from registry.store import Area

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


def rows_of(story: str, hand: Hand, width: int, seconds: float) -> list[Row]:
    """The figures of one storyboard."""
    told: Conditions = {"storyboard": story, "width": width}
    say(f"{story} at {width} px: {hand.clicks} clicks, {hand.fields} fields, {seconds:.1f} s")
    return [
        once("clicks", hand.clicks, "count", told), once("fields", hand.fields, "count", told),
        once("seconds", seconds, "s", told),
    ]  # fmt: skip


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
    key, _ = apikeys.create(here.app.engine, "studio", f"maker {width}", ("create",), now=clock())
    link = sessions.make_link(here.app.engine, key.id, clock())
    with came() as hand:
        newcomers.make_clip(hand, link, PROMPT)
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
