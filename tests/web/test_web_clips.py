"""A released clip's page, and reports by strangers: read by a person, stopping nothing until then."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.clock import clock
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.web.clips import EACH_HOUR
from registry import claims, parties, releases
from registry.ids import new_id
from registry.party_types import Filing
from registry.types import ReleaseState

REPORT = {
    "wrong": "likeness", "reasons": "It is me & my <dog>.", "name": "Mara Quill", "email": "mara@example.org",
    "good_faith": "yes",
}  # fmt: skip


@pytest.fixture(scope="module", name="release")
def a_release(pages: Any, tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> str:
    clip = make_clip(tmp_path_factory.mktemp("released") / "clip.mp4", 480, 272, 24, fps=12, seed=5)
    order = GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT)
    outcome = pages.app.state.service.app.guard(order, lambda *_: None)
    assert outcome.release is not None
    return str(outcome.release.id)


@pytest.fixture(name="fresh")
def nobody_asked_before(pages: Any) -> Any:
    """The service, with nothing counted against the address of the tests."""
    pages.app.state.service.limiter.storage.reset()
    return pages


def claims_of(pages: Any, release: str) -> list[Any]:
    engine = pages.app.state.service.app.engine
    return [one for one in claims.list_claims(engine) if one.release == release]


def test_the_page_of_a_clip(pages: Any, release: str) -> None:
    answer = pages.get(f"/v/{release}")
    assert answer.status_code == 200
    assert "media-src 'self'" in answer.headers["content-security-policy"]
    assert f'src="/v1/releases/{release}/file"' in answer.text
    assert "AI-generated" in answer.text
    assert "&lt;b&gt;Example &amp; Sons" in answer.text
    log_entry = answer.text.split('href="/v1/log/entries/')[1].split('"')[0]
    assert release in pages.get(f"/v1/log/entries/{log_entry}").json()["entry"]


def test_a_report_leads_to_the_release(pages: Any, release: str) -> None:
    file = pages.get(f"/v1/releases/{release}/file").content
    answer = pages.post("/verify", files={"file": ("copy.mp4", file)})
    assert f'href="/v/{release}"' in answer.text
    assert f'href="/v/{release}/report"' in answer.text


@pytest.mark.parametrize("path", ["/v/nonsense", "/v/%00", "/v/{}", "/v/{}/report"])
def test_no_such_clip(pages: Any, path: str) -> None:
    answer = pages.get(path.format(new_id(clock())))
    assert answer.status_code == 404
    assert pages.post(f"/v/{new_id(clock())}/report", data=REPORT).status_code == 404


def test_a_report_is_a_notice_that_stops_nothing(fresh: Any, release: str) -> None:
    before = len(claims_of(fresh, release))
    assert 'name="reasons"' in fresh.get(f"/v/{release}/report").text
    answer = fresh.post(f"/v/{release}/report", data=REPORT)
    assert answer.status_code == 200
    made = claims_of(fresh, release)
    assert len(made) == before + 1
    claim = made[-1]
    assert claim.id in answer.text
    assert (claim.kind, claim.state) == ("dsa16", "provisional")
    assert claim.statements["reasons"].endswith("It is me & my <dog>.")
    assert claim.statements["email"] == "mara@example.org"
    assert fresh.get(f"/v1/releases/{release}/file").status_code == 200
    entry = fresh.get(f"/v1/log/entries/{claim.seq}").text
    assert "Mara" not in entry


def test_who_reports_speaks_for_nobody(fresh: Any, release: str) -> None:
    app = fresh.app.state.service.app
    known = parties.add(app.engine, "Mara Quill", "person", now=clock(), sign_checkpoint=app.signer)
    fresh.post(f"/v/{release}/report", data=REPORT)
    assert claims_of(fresh, release)[-1].by not in (known.id, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wrong": "gossip"}, "what is wrong"), ({"reasons": " "}, "why"), ({"name": ""}, "your name"),
        ({"email": "mara"}, "e-mail"), ({"email": "a b@c.d"}, "e-mail"), ({"good_faith": ""}, "good faith"),
        ({"reasons": "x" * 3001}, "3000 characters"), ({"name": "x" * 9000}, "too long"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_and_the_rest_stays(
    fresh: Any, release: str, change: dict[str, str], said: str
) -> None:
    before = len(claims_of(fresh, release))
    answer = fresh.post(f"/v/{release}/report", data=REPORT | change)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert len(claims_of(fresh, release)) == before
    if "name" not in change:
        assert 'value="Mara Quill"' in answer.text


def test_nobody_reports_without_end(fresh: Any, release: str) -> None:
    answers = [
        fresh.post(f"/v/{release}/report", data=REPORT).status_code for _ in range(EACH_HOUR.amount + 1)
    ]
    assert answers == [200] * EACH_HOUR.amount + [429]


def test_another_site_reports_nothing(fresh: Any, release: str) -> None:
    crossed = fresh.post(f"/v/{release}/report", data=REPORT, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 422


def test_a_withdrawn_clip(pages: Any, tmp_path: Path, make_clip: Any) -> None:
    app = pages.app.state.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=6)
    made = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    gone = releases.withdraw(app.engine, made.release.id, why={}, now=clock(), sign_checkpoint=app.signer)
    assert gone.state is ReleaseState.WITHDRAWN
    answer = pages.get(f"/v/{gone.id}")
    assert (answer.status_code, "<video" in answer.text) == (410, False)
    assert "was withdrawn" in answer.text


def test_it_works_in_a_browser_that_keeps_nothing(pages: Any, release: str) -> None:
    browser = TestClient(pages.app, base_url="https://testserver")
    browser.get(f"/v/{release}")
    assert not browser.cookies


def test_takedowns_come_before_what_strangers_report(fresh: Any, release: str) -> None:
    app = fresh.app.state.service.app
    told = {"now": clock(), "sign_checkpoint": app.signer}
    for _ in range(3):
        fresh.post(f"/v/{release}/report", data=REPORT)
    who = parties.add(app.engine, f"Reporter {new_id(clock())}", "person", **told)
    filing = Filing(
        by=who.id, kind="takedown48", signature="R",
        statements={"location": release, "good_faith": "yes", "contact": "r@example.org"},
    )  # fmt: skip
    urgent = claims.notify(app.engine, filing, release_id=release, **told)
    first, count = claims.notices(app.engine, limit=1)
    assert ([one.id for one in first], count >= 4) == ([urgent.id], True)
    rest, _ = claims.notices(app.engine, skip=1)
    assert len(rest) == count - 1
    assert [one.due_at for one in rest] == sorted(one.due_at or "" for one in rest)
    claims.decide(app.engine, urgent.id, accept=False, why={}, **told)
    app.settle()


def test_a_person_decides_about_a_report(fresh: Any, sign_in: Any, tmp_path: Path, make_clip: Any) -> None:
    app = fresh.app.state.service.app
    clip = make_clip(tmp_path / "clip.mp4", 480, 272, 24, fps=12, seed=8)
    made = app.guard(GuardOrder(source=clip, policy="marks-only", sound=Sound.ACCEPT), lambda *_: None)
    release = made.release.id
    for _ in range(2):
        fresh.post(f"/v/{release}/report", data=REPORT)
    first, second = claims_of(fresh, release)
    stranger = TestClient(fresh.app, base_url="https://testserver")
    assert stranger.get("/review/notices").status_code == 401
    ada = sign_in("Ada")
    assert ada.get("/review/notices").text.count("Illegal content") >= 2
    shown = ada.get(f"/review/notices/{first.id}").text
    assert "It is me &amp; my &lt;dog&gt;." in shown
    form = {"word": shown.split('name="word" value="')[1][:64], "why": "no likeness"}
    assert ada.post(f"/review/notices/{first.id}", data=form | {"decision": "maybe"}).status_code == 404
    assert ada.post(f"/review/notices/{first.id}", data=form | {"decision": "reject"}).status_code == 303
    assert fresh.get(f"/v/{release}").status_code == 200
    assert ada.post(f"/review/notices/{second.id}", data=form | {"decision": "accept"}).status_code == 303
    assert fresh.get(f"/v/{release}").status_code == 410
    assert "is rejected" in ada.get(f"/review/notices/{first.id}").text
    again = ada.post(f"/review/notices/{first.id}", data=form | {"decision": "accept"})
    assert again.status_code >= 400
    assert ada.get("/review/notices/nobody").status_code == 404
