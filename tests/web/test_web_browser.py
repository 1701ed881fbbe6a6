"""Chromium shows the pages whole, as wide as a desk and as a phone, without complaint."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tools import newcomers
from pipeline.clock import clock
from registry import apikeys, sessions
from registry.types import JobState, Reason

WIDE, PHONE = (1200, 900), (500, 900)  # Chromium makes no window narrower than 500


@pytest.fixture(scope="module", name="address")
def a_server_that_listens(pages: Any) -> Iterator[str]:
    """The application of `pages`, on a port."""
    with newcomers.listening(pages.app) as address:
        yield address


@pytest.mark.parametrize("path", ["/", "/verify", "/optout"])
@pytest.mark.parametrize(("width", "height"), [WIDE, PHONE])
def test_screenshots(
    browse: Any, address: str, tmp_path: Path, picture_size: Any, path: str, width: int, height: int
) -> None:
    shot = tmp_path / "page.png"
    browse(address + path, f"--window-size={width},{height}", f"--screenshot={shot}")
    assert picture_size(shot) == (width, height)
    assert shot.stat().st_size > 15_000  # an empty page is a few kB


def test_the_page_as_it_is_built(browse: Any, address: str) -> None:
    """The browser accepts the style sheet and the form; its policy stops nothing that we wrote."""
    text = browse(address + "/optout", "--dump-dom", "--enable-logging=stderr", "--v=0")
    assert re.search(r'<form action="/optout" method="post"', text)
    assert "Refused" not in text
    assert "<h1" in text


@pytest.mark.parametrize("width", [1280, 390])
def test_a_case_is_decided_without_script(pages: Any, address: str, browser: Any, width: int) -> None:
    """Sign in by a link, take a case, look at it, decide: nothing is wider than the window."""
    app = pages.app.state.service.app
    key, _ = apikeys.create(app.engine, "safety", f"Ada {width}", ("review",), now=clock())
    job = _held(app, width)
    link = sessions.make_link(app.engine, key.id, clock())
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False)
    seen = context.new_page()
    seen.goto(f"{address}/sign-in?link={link}")
    seen.get_by_role("button", name="Sign in").click()
    assert seen.url == f"{address}/review"
    while app.job(job).state is JobState.HELD:  # other tests leave cases
        seen.get_by_role("button", name="Take the next one").click()
        assert "/review/" in seen.url
        assert seen.locator("main").bounding_box()["width"] <= width
        seen.get_by_label("Block").check()
        seen.get_by_label("Why").fill("it is somebody")
        seen.get_by_role("button", name="Decide", exact=True).click()
        assert seen.get_by_role("status").inner_text().startswith("Decided")
    assert app.job(job).state is JobState.REFUSED
    context.close()


def _held(app: Any, number: int) -> str:
    jobs = app._bench.jobs
    job = jobs.submit("create/1", f"browser {number}", {"policy": "opt-out", "prompt": "a face", "key": ""})
    reason = Reason(code="likeness_match", check="likeness", detail="A face.", evidence={"times": [0.5]})
    jobs.finish(job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[reason])
    return str(job.id)
