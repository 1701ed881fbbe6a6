"""The feed: what everybody is shown was judged; who is signed in makes clips, and is told what came of it."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from portal_walk import DECLARED, ME, Walk
from starlette.testclient import TestClient
from test_web_portal import service_of

from pipeline.clock import clock
from pipeline.orders import GuardOrder
from pipeline.policy import PRESETS, Sound
from pipeline.web import feed as pages_feed
from pipeline.web.feed import advice, fit_for_all
from pipeline.workflow import CREATE, GUARD
from registry import apikeys, feed, sessions
from registry.db import read
from registry.feed import Entry
from registry.ids import new_id
from registry.types import JobState

JUDGED = {"unsafe_content": "completed", "frames": "completed", "unsafe_frames": "not_checked"}
WORD = re.compile(r'name="word" value="([0-9a-f]{64})"')


def entry(**changes: Any) -> Entry:
    told: dict[str, Any] = {"kind": CREATE, "policy": "opt-out", "checks": JUDGED, "held_for": frozenset()}
    return Entry(release=None, **told | changes)  # type: ignore[arg-type]  # it is not looked at


@pytest.mark.parametrize("policy", sorted(PRESETS))
def test_a_clip_of_a_judged_prompt(policy: str) -> None:
    assert fit_for_all(entry(policy=policy)) is (policy != "marks-only")


def test_a_judged_prompt_says_nothing_of_a_file_that_came_with_it() -> None:
    assert not fit_for_all(entry(given=True))
    assert fit_for_all(entry(given=True, checks=JUDGED | {"unsafe_frames": "completed"}))


@pytest.mark.parametrize("state", ["not_checked", "failed", "timed_out", "skipped", "not_configured"])
def test_what_was_not_judged_is_not_shown(state: str) -> None:
    assert not fit_for_all(entry(checks=JUDGED | {"unsafe_content": state}))


@pytest.mark.parametrize(("state", "shown"), [("completed", True), ("not_checked", False)])
def test_of_a_clip_from_elsewhere_the_frames_count(state: str, shown: bool) -> None:
    """What somebody says that it was made from does not judge it."""
    assert fit_for_all(entry(kind=GUARD, checks=JUDGED | {"unsafe_frames": state})) is shown


def test_what_a_person_let_pass_is_not_shown() -> None:
    assert not fit_for_all(entry(held_for=frozenset({"unsafe_prompt_violence"})))
    assert fit_for_all(entry(held_for=frozenset({"name_near"})))


def test_a_policy_of_another_version_is_not_known() -> None:
    assert not fit_for_all(entry(policy="older"))


def test_advice_fits_the_reasons() -> None:
    assert len(advice(["name_match", "name_near", "description_match", "unsafe_prompt_gore"])) == 3
    assert advice(["job_died"]) == []


@pytest.fixture(scope="module", name="clips")
def some_clips(pages: Any, tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> list[str]:
    """Three releases under marks-only, the newest first."""
    made = []
    for seed in (31, 32, 33):
        clip = make_clip(tmp_path_factory.mktemp("fed") / "clip.mp4", 480, 272, 24, fps=12, seed=seed)
        order = GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT)
        outcome = pages.app.state.service.app.guard(order, lambda *_: None)
        assert outcome.release is not None
        made.append(str(outcome.release.id))
    return made[::-1]


def test_the_registry_tells_them_newest_first(pages: Any, clips: list[str]) -> None:
    with read(pages.app.state.service.app.engine) as conn:
        found = feed.newest(conn, limit=100)
        ids = [one.release.id for one in found]
        assert ids == sorted(ids, reverse=True)
        assert set(clips) <= set(ids)
        assert {one.policy for one in found} == {"marks-only"}
        after = feed.newest(conn, before=ids[0], limit=1)
    assert [one.release.id for one in after] == ids[1:2]


def test_strangers_are_shown_nothing_that_nobody_judged(pages: Any, clips: list[str]) -> None:
    for address in ("/", "/?all=1"):
        text = pages.get(address).text
        assert not any(clip in text for clip in clips)
        assert "Nothing yet that is shown to everybody." in text


def test_who_is_signed_in_may_ask_for_everything(
    clips: list[str], sign_in: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_feed, "SHOWN", 2)
    browser = sign_in("Ada Feed")
    assert clips[0] not in browser.get("/").text
    answer = browser.get("/?all=1")
    assert "media-src 'self'" in answer.headers["content-security-policy"]
    assert [clip for clip in clips if f"/v1/releases/{clip}/file" in answer.text] == clips[:2]
    assert answer.text.count("not judged for everybody") == 2
    assert f"/v/{clips[0]}/report" in answer.text
    older = re.findall(r'href="(/\?before=[^"]+)"', answer.text)[0].replace("&amp;", "&")
    text = browser.get(older).text
    assert clips[2] in text
    assert clips[1] not in text


@pytest.mark.parametrize("before", ["x", "../..", "0" * 36, "%00"])
def test_a_place_that_there_is_not(pages: Any, before: str) -> None:
    assert pages.get(f"/?before={before}").status_code == 200


def test_a_withdrawn_clip_is_not_shown(
    pages: Any, sign_in: Callable[..., TestClient], make_clip: Any, tmp_path: Path
) -> None:
    app = pages.app.state.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=34)
    outcome = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    browser = sign_in("Ada Withdraws")
    assert outcome.release.id in browser.get("/?all=1").text
    app.withdraw(outcome.release.id, "test")
    assert outcome.release.id not in browser.get("/?all=1").text


def maker(portal: Any, account: str = "studio") -> tuple[TestClient, str]:
    """A browser in which somebody is signed in who may make clips, and the form's word."""
    engine = service_of(portal).app.engine
    key, _ = apikeys.create(engine, account, "Max", ("create",), now=clock())
    browser = TestClient(portal.app, base_url="https://testserver", follow_redirects=False)
    answer = browser.post("/sign-in", data={"link": sessions.make_link(engine, key.id, clock())})
    assert answer.headers["location"] == "/"
    return browser, WORD.findall(browser.get("/").text)[0]


def ended(portal: Any, browser: TestClient, address: str) -> Any:
    """The page of a job when it is open no more."""
    job = address.rpartition("/")[2]
    until = time.monotonic() + 240
    while service_of(portal).app.job(job).state is JobState.OPEN and time.monotonic() < until:
        time.sleep(0.2)
    return browser.get(address)


def test_a_refusal_is_told_with_what_one_can_do(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Quagglethorn")
    walk.finish(**ME, **DECLARED)
    browser, word = maker(portal)
    prompt = "a <b>portrait</b> of Quagglethorn"
    answer = browser.post("/", data={"word": word, "prompt": prompt, "purpose": "parody"})
    assert answer.status_code == 303
    page = ended(portal, browser, answer.headers["location"])
    assert "This is not made here." in page.text
    assert "Quagglethorn" in page.text
    assert "name_match" in page.text
    assert "ask its holder for a licence" in page.text
    assert "To object, write to" in page.text
    assert "a &lt;b&gt;portrait&lt;/b&gt;" in page.text
    assert "score" not in page.text.lower()


def test_a_clip_that_waits_for_its_holder_says_so(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Rumblefetch")
    walk.send(3, "next", mode="ask")
    walk.finish(**ME, **DECLARED)
    browser, word = maker(portal)
    answer = browser.post("/", data={"word": word, "prompt": "a portrait of Rumblefetch"})
    page = ended(portal, browser, answer.headers["location"])
    assert "The rights holder is asked." in page.text
    assert page.headers["refresh"] == "30"
    assert "Stop that" in page.text
    stopped = browser.get(f"{answer.headers['location']}?watch=0")
    assert "refresh" not in stopped.headers


@pytest.mark.parametrize(
    ("change", "status"),
    [({"word": ""}, 422), ({"word": "0" * 64}, 422), ({"prompt": " "}, 400), ({"purpose": "nonsense"}, 400)],
)
def test_what_begins_nothing(portal: Any, change: dict[str, str], status: int) -> None:
    browser, word = maker(portal)
    answer = browser.post("/", data={"word": word, "prompt": 'a "tall" fox', "purpose": ""} | change)
    assert (answer.status_code, 'role="alert"' in answer.text) == (status, True), answer.text
    if "prompt" not in change:
        assert "a &#34;tall&#34; fox" in answer.text


def test_strangers_make_nothing(portal: Any) -> None:
    assert portal.post("/", data={"prompt": "a fox"}).status_code == 401
    assert portal.get(f"/made/{new_id('2026-01-01T00:00:00Z')}").status_code == 401


def test_anothers_job_is_not_told(portal: Any) -> None:
    browser, word = maker(portal)
    address = browser.post("/", data={"word": word, "prompt": "a portrait of Quagglethorn"}).headers[
        "location"
    ]
    other, _ = maker(portal, "another")
    assert other.get(address).status_code == 404
    assert other.get("/made/x").status_code == 404
