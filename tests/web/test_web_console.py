"""Signing in by a link, and a case decided in the console, as a browser does it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from desk import FACE, NAMED, Hold, decide, take, word
from starlette.testclient import TestClient

from pipeline.clock import clock
from registry import apikeys, sessions
from registry.ids import new_id
from registry.types import JobState


@pytest.fixture(name="hold", scope="module")
def a_hold(pages: Any, tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> Hold:
    clip = make_clip(tmp_path_factory.mktemp("held") / "clip.mp4", 320, 192, 30, fps=12)
    return Hold(pages.app.state.service.app, clip)


@pytest.fixture(name="person")
def somebody(sign_in: Any) -> Any:
    """A browser in which somebody is signed in."""
    return sign_in


def test_the_cookie_is_for_this_site_alone(person: Any) -> None:
    browser = person("Ada")
    engine = browser.app.state.service.app.engine
    key, _ = apikeys.create(engine, "safety", "Ben", ("review",), now=clock())
    link = sessions.make_link(engine, key.id, clock())
    told = browser.post("/sign-in", data={"link": link}).headers["set-cookie"].lower()
    assert all(one in told for one in ("httponly", "secure", "samesite=strict", "path=/"))


def test_nobody_sees_cases_who_is_not_signed_in(pages: Any, person: Any, hold: Hold) -> None:
    hold(NAMED)
    stranger = TestClient(pages.app, base_url="https://testserver", follow_redirects=False)
    for method, path in (("GET", "/review"), ("POST", "/review/next"), ("GET", f"/review/{'0' * 36}")):
        answer = stranger.request(method, path)
        assert (answer.status_code, "Zorblaks" in answer.text) == (401, False)
    other = person("Ben", "create")
    assert other.get("/review").status_code == 403
    assert stranger.get("/sign-in?link=nonsense").status_code == 401


def test_a_link_that_was_used_and_a_session_that_ended(pages: Any, person: Any) -> None:
    browser = person("Ada")
    form = {"word": word(browser.get("/review").text)}
    kept = dict(browser.cookies)
    assert browser.post("/sign-out", data=form).headers["location"] == "/"
    again = TestClient(pages.app, base_url="https://testserver", cookies=kept)
    assert again.get("/review").status_code == 401


def test_a_form_needs_its_word(person: Any, hold: Hold) -> None:
    hold(NAMED)
    browser, other = person("Ada"), person("Ben")
    foreign = word(other.get("/review").text)
    for form in ({}, {"word": ""}, {"word": foreign}, {"word": "é"}):
        answer = browser.post("/review/next", data=form)
        assert (answer.status_code, "too old" in answer.text or "cannot be read" in answer.text) == (
            422,
            True,
        )
    mine = {"word": word(browser.get("/review").text)}
    crossed = browser.post("/review/next", data=mine, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 422
    assert browser.post("/review/next", data=mine).status_code == 303


def test_a_case_on_one_page(pages: Any, person: Any, hold: Hold) -> None:
    _decide_all(pages)
    job = hold(NAMED, FACE)
    browser = person("Ada")
    path = take(browser)
    text = browser.get(path).text
    assert "<mark>Zorblaks<sup>1</sup></mark> &lt;b&gt;waves" in text
    assert "&lt;Zorblax&gt;" in text
    assert "right 93 times in 100" in text
    assert text.count("<figure><div") >= 6
    assert text.count("<rect x=") == 2
    assert 'class="blurred"' in text
    assert "2 people have to agree" in text
    clear = browser.get(f"{path}?clear=1").text
    assert 'class="blurred"' not in clear
    assert len(clear) > len(text) + 10_000
    assert decide(browser, path, "release", "a mask").headers["location"].startswith("/review?done=")
    assert "second person" in browser.get(f"/review?done={path.rpartition('/')[2]}").text
    assert "You have decided" in browser.get(path).text
    second = person("Ben")
    assert "<b>Release</b>, <bdi>Ada (safety)</bdi>" in second.get(path).text
    decide(second, path, "block", "it is her")
    assert pages.app.state.service.app.job(job).state is JobState.REFUSED
    assert "This case is closed" in second.get(path).text
    assert decide_closed(second, path).status_code == 409


def test_what_it_is_made_from_is_shown(pages: Any, person: Any, hold: Hold, tmp_path: Path) -> None:
    _decide_all(pages)
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 255, (400, 700, 3), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    hold(FACE, clip=False, material=[picture, tmp_path / "broken.png"])
    browser = person("Ada")
    path = take(browser)
    text = browser.get(path).text
    assert (text.count('alt="Picture 1, blurred"'), "Picture 2" in text) == (1, False)
    clear = browser.get(f"{path}?clear=1").text
    assert 'alt="Picture 1"' in clear
    assert len(clear) > len(text) + 20_000


def test_another_persons_case_is_shown_and_not_decided(pages: Any, person: Any, hold: Hold) -> None:
    _decide_all(pages)
    hold(NAMED, clip=False)
    ada, ben = person("Ada"), person("Ben")
    path = take(ada)
    text = ben.get(path).text
    assert "Taken by <bdi>Ada (safety)</bdi>" in text
    assert 'name="decision"' not in text
    assert "No clip was made yet" in text
    assert take(ben) == "/review"
    answer = ben.post(path, data={"word": word(text), "decision": "block"})
    assert (answer.status_code, "Somebody else has taken" in answer.text) == (409, True)
    assert decide(ada, path, "give-back").headers["location"] == "/review"
    assert take(ben) == path


@pytest.mark.parametrize("case", ["nonsense", "0" * 36, "%00"])
def test_a_case_that_is_not_there(person: Any, case: str) -> None:
    browser = person("Ada")
    assert browser.get(f"/review/{case}").status_code == 404
    form = {"word": word(browser.get("/review").text), "decision": "block"}
    assert browser.post(f"/review/{case}", data=form).status_code == 404


def decide_closed(browser: TestClient, path: str) -> Any:
    form = {"word": word(browser.get("/review").text), "decision": "block"}
    return browser.post(path, data=form)


def _decide_all(pages: Any) -> None:
    """Block whatever other tests left."""
    reviews = pages.app.state.service.app.reviews
    for case in reviews.waiting():
        if case["lease"]:
            reviews.give_back(case["id"], case["lease"]["holder"])
        reviews.block(case["id"], f"nobody {new_id(clock())}", "")


def test_an_appeal_is_a_case_for_somebody_else(pages: Any, person: Any, hold: Hold) -> None:
    app = pages.app.state.service.app
    job = hold(replace(NAMED, evidence=NAMED.evidence | {"score": 0.9}))
    first, other = person("Dora"), person("Emil")
    path = f"/review/{next(one['id'] for one in app.reviews.waiting() if one['job'] == job)}"
    assert decide(first, path, "block").status_code == 303
    made = app.reviews.appeals.make("maker", "It is <b>a village.", job=job).appeal
    path = f"/review/{made.id}"
    assert "An appeal" in other.get("/review").text
    page = other.get(path).text
    assert "Somebody objects to a decision." in page
    assert "It is &lt;b&gt;a village." in page
    own = decide(first, path, "release")
    assert own.status_code == 403
    assert "their own decision" in own.text
    done = decide(other, path, "release", "it is one")
    assert (done.status_code, done.headers["location"]) == (303, f"/review?done={made.id}")
    assert "the appeal is granted" in other.get(done.headers["location"]).text
