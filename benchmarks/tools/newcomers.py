"""People who see the pages for the first time, in Chromium, and what each storyboard takes them.

A `Hand` does what a hand does and counts it: clicks (of buttons, links, boxes and files alike) and fields
that are typed into. ``look`` is called once on every page that it comes to.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.api.server import bind

PROGRAMS: Final = ("chromium", "chromium-browser")
FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WAIT: Final = 240_000.0  # milliseconds that a page may take on a busy machine
HEIGHT: Final = 900

Look = Callable[[Page, str], None]


def program() -> str | None:
    """Where Chromium is, if it is installed."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def listening(app: Any, *, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Where an application is served, on a port of this machine; ``off``: it is open already."""
    with bind("127.0.0.1", 0) as socket:
        server = uvicorn.Server(uvicorn.Config(app, lifespan=lifespan, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        while not server.started and thread.is_alive():
            threading.Event().wait(0.05)
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:  # also where a test fails: the thread would keep the process
            server.should_exit = True
            thread.join()


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser that a script drives."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Hand:
    """One newcomer at one browser. ``seconds``: since they came."""

    page: Page
    address: str
    look: Look = lambda _page, _name: None
    clicks: int = 0
    fields: int = 0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def at(
        cls, browser: Browser, address: str, width: int, *, script: bool = True, dark: bool = False,
        look: Look = lambda _page, _name: None,
    ) -> Iterator["Hand"]:  # fmt: skip
        """Somebody new: a browser without a past."""
        context = browser.new_context(
            viewport={"width": width, "height": HEIGHT}, java_script_enabled=script,
            color_scheme="dark" if dark else "light",
        )  # fmt: skip
        context.set_default_timeout(WAIT)
        yield cls(context.new_page(), address, look)
        context.close()

    @property
    def seconds(self) -> float:
        """Since they came."""
        return time.monotonic() - self.began

    def open(self, path: str, name: str) -> None:
        """Type an address."""
        self.page.goto(self.address + path)
        self.look(self.page, name)

    def press(self, button: str, name: str = "") -> None:
        """Press a button; ``name``: of the page that this leads to, where it is looked at."""
        self.clicks += 1
        self.page.get_by_role("button", name=button, exact=True).click()
        if name:
            self.look(self.page, name)

    def follow(self, link: str, name: str = "") -> None:
        """Follow a link."""
        self.clicks += 1
        self.page.get_by_role("link", name=link, exact=True).first.click()
        if name:
            self.look(self.page, name)

    def tick(self, label: str) -> None:
        """Choose a box or a card."""
        self.clicks += 1
        self.page.get_by_label(label).first.check()

    def write(self, label: str, text: str) -> None:
        """Type into a field."""
        self.fields += 1
        self.page.get_by_label(label, exact=False).first.fill(text)

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files: one click to open, one to take them."""
        self.clicks += 2
        self.page.locator(selector).set_input_files([str(path) for path in files])


def say_no(hand: Hand, name: str, pictures: Sequence[Path], sentence: str) -> None:
    """Storyboard (a): an opt-out in two minutes, with pictures, another spelling, and a sentence tried."""
    hand.open("/optout", "optout-1")
    hand.tick("A character or a work")
    hand.press("Go on", "optout-2")
    hand.write("Name", name)
    hand.press("Check the names", "optout-names")
    hand.page.locator('input[name="native"]').first.check()
    hand.clicks += 1
    hand.choose("#references", pictures)
    hand.write("What somebody might write", sentence)
    hand.press("Try it", "optout-tried")
    hand.press("Go on", "optout-3")
    hand.press("Go on", "optout-4")
    hand.write("Your name", "Mara Quill")
    hand.write("E-mail address", "mara@example.org")
    for said in ("I am the rights holder", "I believe in good faith", "What I state here"):
        hand.tick(said)
    hand.press("Opt out now", "optout-5")
    hand.page.get_by_text("In force since").wait_for()


def come_back(hand: Hand) -> None:
    """After (a): one's own pages, by the private link, and one opt-out on them."""
    hand.follow("Your opt-outs", "mine-enter")
    hand.press("Open your opt-outs", "mine")
    hand.page.get_by_role("table").get_by_role("link").first.click()
    hand.look(hand.page, "mine-one")
    hand.open("/mine/asked", "mine-asked")


def decide_case(hand: Hand, link: str) -> None:
    """Storyboard (b): sign in, take a case, look at it, block it, and on to the next one."""
    hand.open(f"/sign-in?link={link}", "sign-in")
    hand.press("Sign in", "cases")
    hand.press("Take the next one", "case")
    hand.follow("Show them", "case-clear")
    hand.tick("Block")
    hand.press("Decide, and next", "case-next")


def decide_next(hand: Hand) -> None:
    """Storyboard (b) for who has a case before them: release it, or say so where two have to."""
    hand.tick("Release")
    hand.press("Decide", "cases-decided")


def take_back(hand: Hand) -> None:
    """After (b): it was a mistake; the holder is asked instead."""
    hand.press("Undo", "case-undone")
    hand.tick("Ask its holder")
    hand.press("Decide", "cases-asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What (c) said; seconds from the button to the ``first`` evidence, and to the headline, ``last``."""

    headline: str
    first: float
    last: float


def check_clip(hand: Hand, clip: Path) -> Checked:
    """Storyboard (c): is this clip from here? Evidence comes line by line, on one page; then the headline."""
    hand.open("/verify", "verify")
    hand.choose("#file", [clip])
    began = hand.seconds
    hand.press("Check the clip")
    hand.page.locator(".stated .icon, .finished").first.wait_for(state="attached")
    first = hand.seconds
    hand.page.locator(".finished").wait_for()
    headline, last = str(hand.page.locator("h2.headline:visible").inner_text()), hand.seconds
    hand.look(hand.page, "report")
    return Checked(headline=headline, first=first - began, last=last - began)


def make_clip(hand: Hand, link: str, prompt: str) -> None:
    """Storyboard (d) for who may make clips: sign in, ask, wait, look at the credential."""
    hand.open(f"/sign-in?link={link}", "sign-in")
    hand.press("Sign in", "feed-maker")
    hand.write("What is the clip to show?", prompt)
    hand.press("Make the clip", "made")


def look_at_clip(hand: Hand) -> None:
    """Storyboard (d) for who comes by: the feed, a clip, its credential, the form for a report."""
    hand.open("/", "feed")
    hand.page.get_by_role("link", name="Credential").first.click()
    hand.page.get_by_text("Content credential").click()
    hand.clicks += 2
    hand.look(hand.page, "clip")
    hand.follow("Report this clip", "report-clip")
