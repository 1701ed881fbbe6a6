"""Newcomers go through the storyboards in Chromium, wide and narrow, light and dark, with and without script.

On every page that they come to: nothing serious by axe, nothing wider than the window.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from desk import FACE, NAMED, Hold
from portal_walk import DECLARED, ME, Walk
from starlette.testclient import TestClient
from test_web_portal import png

from benchmarks.tools import newcomers
from benchmarks.tools.newcomers import Hand
from pipeline.clock import clock
from pipeline.optouts.order import parse_order
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from registry import apikeys, sessions
from registry.db import write

WIDTHS = (1280, 390)
SERIOUS = ("serious", "critical")
NAMES = {1280: "Vorplewick", 390: "Yibberlunt", 391: "Wexiphon"}


@pytest.fixture(scope="session", name="shots")
def a_folder_for_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shots")


@pytest.fixture(scope="session", name="at_guarded")
def the_service_that_compares(guarded: TestClient) -> Iterator[str]:
    with newcomers.listening(guarded.app) as address:
        yield address


@pytest.fixture(scope="session", name="at_pages")
def the_service_that_only_marks(pages: TestClient) -> Iterator[str]:
    with newcomers.listening(pages.app) as address:
        yield address


@pytest.fixture(name="inspected")
def an_inspector(shots: Path) -> Callable[..., Callable[[Any, str], None]]:
    """Looks at pages of a width: screenshot, axe, and how wide they are."""

    def of(width: int, *, script: bool = True) -> Callable[[Any, str], None]:
        def look(page: Any, name: str) -> None:
            page.screenshot(path=shots / f"{name}-{width}{'' if script else '-plain'}.png", full_page=True)
            if not script:
                return
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            found = Axe().run(page).response["violations"]
            told = [
                (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
                for one in found if one["impact"] in SERIOUS
            ]  # fmt: skip
            assert not told, (name, told)

        return look

    return of


@pytest.fixture(name="fresh")
def nobody_asked_before(guarded: Any, pages: Any) -> None:
    for one in (guarded, pages):
        one.app.state.service.limiter.storage.reset()


@pytest.fixture(name="pictures")
def three_pictures(tmp_path: Path) -> list[Path]:
    made = []
    for seed in (21, 22, 23):
        made.append(tmp_path / f"view {seed}.png")
        made[-1].write_bytes(png(320, 240, seed))
    return made


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(("width", "script"), [(1280, True), (390, True), (390, False)])
def test_an_opt_out(
    at_guarded: str, browser: Any, inspected: Any, pictures: list[Path], width: int, script: bool
) -> None:
    name = NAMES[width + (not script)]
    look = inspected(width, script=script)
    with Hand.at(browser, at_guarded, width, script=script, dark=width == 390, look=look) as hand:
        newcomers.say_no(hand, name, pictures, f"a portrait of {name} in the rain")
        assert hand.clicks <= 14
        assert hand.fields <= 5
        newcomers.come_back(hand)
        assert name in hand.page.locator("h1").inner_text() or hand.page.url.endswith("/mine/asked")


@pytest.fixture(scope="session", name="hold")
def held_clips(guarded: TestClient, tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> Hold:
    clip = make_clip(tmp_path_factory.mktemp("held") / "clip.mp4", 480, 272, 24, fps=12, seed=53)
    return Hold(guarded.app.state.service.app, clip)  # type: ignore[attr-defined]


INSPECTED = ("case-next", "cases-asked", "cases-with-holders")
"""Of the console: each element that it has is on one of these, and looking takes seconds."""


@pytest.fixture(name="subject", scope="session")
def somebody_registered(guarded: Any) -> str:
    order = {"kind": "character", "name": "Quizzeldane", "owner": "Quill Works", "attributes": ["a lantern"]}
    return str(guarded.app.state.service.desk.register(parse_order(order), []).id)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("width", "script", "dark"), [(1280, True, False), (390, True, True), (390, False, False)]
)
def test_a_review(
    at_guarded: str, guarded: Any, browser: Any, inspected: Any, hold: Hold, subject: str, width: int,
    script: bool, dark: bool,
) -> None:  # fmt: skip
    """A finding beside what is registered; blocked, on to the next, undone, its holder asked instead."""
    app = guarded.app.state.service.app
    about = {"subject": subject, "intent": "depict", "quote": "Zorblaks", "reference": "Quizzeldane"}
    seen = replace(FACE, evidence=FACE.evidence | about | {"score": 0.7, "threshold": 0.6})
    for _ in range(2):
        hold(replace(NAMED, evidence=NAMED.evidence | about), seen)
    key, _ = apikeys.create(app.engine, "safety", f"Ada {width} {script} {dark}", ("review",), now=clock())

    def look(page: Any, name: str) -> None:
        inspected(width, script=script and name in INSPECTED)(page, f"{name}-{'dark' if dark else 'light'}")

    def signing_in() -> str:
        return sessions.make_link(app.engine, key.id, clock())

    with Hand.at(browser, at_guarded, width, script=script, dark=dark, look=look) as hand:
        newcomers.decide_case(hand, signing_in())
        assert (hand.clicks, hand.fields) == (5, 0)
        newcomers.take_back(hand)
        hand.page.get_by_text("Its holder is asked at").wait_for()
        hand.press("Take the next one")
        newcomers.decide_next(hand)
        assert hand.clicks == 11
    with write(app.engine) as conn:  # a minute later
        conn.exec_driver_sql("UPDATE pending_decision SET due = due - 60")
    until = time.monotonic() + 60
    while not app.reviews.waiting(with_holders=True):
        assert time.monotonic() < until
        time.sleep(0.2)
    with Hand.at(browser, at_guarded, width, script=script, dark=dark, look=look) as hand:
        hand.open(f"/sign-in?link={signing_in()}", "sign-in")
        hand.press("Sign in", "cases-with-holders")
        assert hand.page.get_by_role("region", name="Cases that wait for holders").count() == 1
    for case in [*app.reviews.waiting(), *app.reviews.waiting(with_holders=True)]:
        if case["lease"]:
            app.reviews.give_back(case["id"], case["lease"]["holder"])
        app.reviews.block(case["id"], "nobody", "")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(("width", "script"), [(1280, True), (390, True), (390, False)])
def test_a_suspicious_clip(
    at_pages: str, pages: Any, browser: Any, inspected: Any, tmp_path: Path, make_clip: Any, width: int,
    script: bool,
) -> None:  # fmt: skip
    app = pages.app.state.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=51)
    outcome = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    look = inspected(width, script=script)
    with Hand.at(browser, at_pages, width, script=script, dark=width == 390, look=look) as hand:
        checked = newcomers.check_clip(hand, outcome.file)
        assert hand.clicks == 3
    assert checked.headline.startswith("Released by"), checked
    assert checked.first <= checked.last


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("width", WIDTHS)
def test_the_feed_and_a_release(
    at_pages: str, pages: Any, browser: Any, inspected: Any, tmp_path: Path, make_clip: Any,
    width: int,
) -> None:  # fmt: skip
    """This service makes no checks, so that it is quick: what is out is shown to who asks for everything."""
    app = pages.app.state.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=52)
    app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    key, _ = apikeys.create(app.engine, "studio", f"Max {width}", ("create", "guard"), now=clock())
    link = sessions.make_link(app.engine, key.id, clock())
    with Hand.at(browser, at_pages, width, dark=width == 390, look=inspected(width)) as hand:
        hand.open(f"/sign-in?link={link}", "sign-in")
        hand.press("Sign in", "feed-maker")
        hand.follow("Show everything; I am an adult", "feed-all")
        hand.page.get_by_role("link", name="Credential").first.click()
        hand.page.get_by_text("Content credential").click()
        inspected(width)(hand.page, "clip")
        hand.follow("Report this clip", "report-clip")
        assert hand.page.get_by_label("In your words").count() == 1


@pytest.mark.usefixtures("fresh")
def test_what_a_maker_is_told(at_guarded: str, guarded: Any, browser: Any, inspected: Any) -> None:
    walk = Walk.begin(guarded)
    walk.send(2, "next", name="Zibblefrump")
    walk.finish(**ME, **DECLARED)
    app = guarded.app.state.service.app
    key, _ = apikeys.create(app.engine, "studio", "Max", ("create",), now=clock())
    link = sessions.make_link(app.engine, key.id, clock())
    with Hand.at(browser, at_guarded, 390, look=inspected(390)) as hand:
        newcomers.make_clip(hand, link, "a portrait of Zibblefrump")
        hand.page.get_by_text("This is not made here.").wait_for()  # the page looks again by itself
        inspected(390)(hand.page, "refused")
        assert hand.clicks == 2


@pytest.mark.parametrize("path", ["/", "/transparency", "/mine", "/sign-in", "/optout/draft?d=x", "/v/x"])
@pytest.mark.parametrize("width", WIDTHS)
def test_other_pages(at_guarded: str, browser: Any, inspected: Any, path: str, width: int) -> None:
    name = path.strip("/").partition("?")[0].replace("/", "-") or "index"
    with Hand.at(browser, at_guarded, width, dark=width == 390, look=inspected(width)) as hand:
        hand.open(path, f"other-{name}")
