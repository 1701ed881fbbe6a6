"""What is decided in the console can be undone for a while, and nothing happens before; Ask its holder."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import FACE, NAMED, Hold, decide, sign_in, take, word
from starlette.testclient import TestClient

from pipeline.api.service import make_service
from pipeline.optouts.order import parse_order
from pipeline.settings import Settings
from registry import apikeys, releases
from registry.db import write
from registry.tables_reviews import pending_decision
from registry.types import JobState, Reason

UNDO_SECONDS = 2.0
LONG = 30.0  # seconds for a busy machine
OWNER = "Mara Quill Studios"


@pytest.fixture(name="console", scope="module")
def a_service_whose_decisions_wait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    settings = Settings(
        home=tmp_path_factory.mktemp("console"), policy="marks-only", preset="ultrafast",
        undo_seconds=UNDO_SECONDS, rate_reads=0, rate_writes=0, rate_uploads=0,
    )  # fmt: skip
    with TestClient(make_service(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(name="app")
def its_application(console: Any) -> Any:
    return console.app.state.service.app


@pytest.fixture(name="hold", scope="module")
def a_hold(console: Any, tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> Hold:
    clip = make_clip(tmp_path_factory.mktemp("held") / "clip.mp4", 320, 192, 30, fps=12)
    return Hold(console.app.state.service.app, clip)


@pytest.fixture(name="registered", scope="module")
def somebody_registered(console: Any) -> str:
    """A subject whose holder does not want to be asked."""
    order = {"kind": "character", "name": "Zorblax", "owner": OWNER, "mode": "block",
             "attributes": ["three tails"], "exclusions": ["real foxes"]}  # fmt: skip
    return str(console.app.state.service.desk.register(parse_order(order), []).id)


@pytest.fixture(autouse=True)
def nothing_left_of_other_tests(app: Any) -> Iterator[None]:
    yield
    for case in [*app.reviews.waiting(), *app.reviews.waiting(with_holders=True)]:
        if case["lease"]:
            app.reviews.give_back(case["id"], case["lease"]["holder"])
        app.reviews.block(case["id"], "nobody", "")


def about(subject: str, reason: Reason = NAMED) -> Reason:
    found = {"subject": subject, "intent": "depict", "quote": "Zorblaks", "reference": "Zorblax"}
    return Reason(
        code=reason.code, check=reason.check, detail=reason.detail, evidence=reason.evidence | found
    )


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def undo(browser: TestClient, path: str) -> Any:
    return browser.post(f"{path}/undo", data={"word": word(browser.get("/review").text)})


def test_a_decision_waits_and_then_is_carried_out(console: Any, app: Any, hold: Hold) -> None:
    job, ada, ben = hold(NAMED, clip=False), sign_in(console, "Ada"), sign_in(console, "Ben")
    path = take(ada)
    done = decide(ada, path, "block", "it is it").headers["location"]
    text = ada.get(done).text
    assert re.search(r"It is blocked at \d\d:\d\d:\d\d UTC. Until then you can undo it", text)
    assert ">Undo</button>" in text
    assert "Nobody waits." in text
    assert app.job(job).state is JobState.HELD
    own, other = ada.get(path).text, ben.get(path).text
    assert ">Undo</button>" in own
    assert "as <bdi>Ada (safety)</bdi> decided" in other
    assert not any(one in text for one in ('name="decision"',) for text in (own, other))
    assert (decide_at(ben, path, "release").status_code, undo(ben, path).status_code) == (409, 409)
    until(lambda: app.job(job).state is JobState.REFUSED)
    [vote] = app.reviews.show(path.rpartition("/")[2])["votes"]
    assert (vote["by"], vote["decision"], vote["why"]) == ("Ada (safety)", "block", "it is it")
    until(lambda: ">Undo</button>" not in ada.get(done).text)
    late = undo(ada, path)
    assert (late.status_code, "too late" in late.text) == (409, True)
    assert app.job(job).state is JobState.REFUSED


def test_what_is_undone_never_happens(console: Any, app: Any, hold: Hold) -> None:
    job, ada = hold(NAMED, clip=False), sign_in(console, "Ada")
    path = take(ada)
    decide(ada, path, "block")
    answer = undo(ada, path)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert 'name="decision"' in ada.get(path).text
    time.sleep(UNDO_SECONDS + 1.5)
    case = app.reviews.show(path.rpartition("/")[2])
    assert (app.job(job).state, case["votes"], case["pending"]) == (JobState.HELD, [], None)


def test_an_undo_waits_behind_nothing(console: Any, app: Any, hold: Hold) -> None:
    job, ada, registered = hold(NAMED, clip=False), sign_in(console, "Ada"), threading.Event()
    path = take(ada)
    wishes = console.app.state.service.wishes
    long = threading.Thread(target=lambda: asyncio.run(wishes.run(lambda: registered.wait(LONG))))
    long.start()
    try:
        decide(ada, path, "block")
        assert undo(ada, path).status_code == 303
        assert app.reviews.show(path.rpartition("/")[2])["pending"] is None
    finally:
        registered.set()
        long.join()
    assert app.job(job).state is JobState.HELD


def test_the_first_of_two_votes_can_be_undone_and_the_second(console: Any, app: Any, hold: Hold) -> None:
    job, ada, ben = hold(FACE), sign_in(console, "Ada"), sign_in(console, "Ben")
    path = take(ada)
    decide(ada, path, "release")
    until(lambda: "You have decided. It waits for a second" in ada.get(path).text)
    assert take(ben) == path
    decide(ben, path, "release")
    undo(ben, path)
    time.sleep(UNDO_SECONDS + 1.5)
    assert app.job(job).state is JobState.HELD
    assert len(app.reviews.show(path.rpartition("/")[2])["votes"]) == 1


def test_an_appeal_can_be_undone(console: Any, app: Any, hold: Hold) -> None:
    job, ada = hold(NAMED, clip=False), sign_in(console, "Ada")
    [case] = app.reviews.waiting()
    app.reviews.block(case["id"], "Somebody", "")
    made = app.reviews.appeals.make("maker", "It is a village.", job=job).appeal
    path = f"/review/{made.id}"
    assert decide(ada, path, "block").status_code == 303
    assert app.reviews.show(made.id)["state"] == "open"
    assert undo(ada, path).status_code == 303
    decide(ada, path, "block")
    until(lambda: app.reviews.show(made.id)["state"] == "upheld")


def test_a_key_that_is_revoked_meanwhile_decides_nothing(console: Any, app: Any, hold: Hold) -> None:
    job, ada = hold(NAMED, clip=False), sign_in(console, "Ida")
    path = take(ada)
    decide(ada, path, "block")
    key = next(one for one in apikeys.list_keys(app.engine) if one.name == "Ida")
    now = app.reviews.show(path.rpartition("/")[2])["opened_at"]
    apikeys.revoke(app.engine, key.id, why={}, now=now, sign_checkpoint=app.signer)
    ben = sign_in(console, "Ben")
    until(lambda: "was not carried out" in ben.get("/review").text)
    assert app.job(job).state is JobState.HELD
    assert take(ben) == path
    assert "The key that it was decided with" in ben.get(path).text


def test_on_to_the_next_case(console: Any, app: Any, hold: Hold) -> None:
    hold(NAMED, clip=False)
    hold(FACE, clip=False)
    ada = sign_in(console, "Ada")
    first = take(ada)
    form = {"word": word(ada.get(first).text), "decision": "block", "then": "next"}
    second, _, done = ada.post(first, data=form).headers["location"].partition("?done=")
    assert (second != first, f"/review/{done}") == (True, first)
    text = ada.get(f"{second}?done={done}").text
    assert f'action="{first}/undo"' in text
    assert 'name="decision"' in text
    form = {"word": word(text), "decision": "block", "then": "next"}
    assert ada.post(second, data=form).headers["location"].startswith("/review?done=")


def test_a_holder_is_asked_whatever_their_mode(console: Any, app: Any, hold: Hold, registered: str) -> None:
    job, ada = hold(about(registered), clip=False), sign_in(console, "Ada")
    path = take(ada)
    text = ada.get(path).text
    assert f"<bdi>{OWNER}</bdi> sees who asks" in text
    decide(ada, path, "ask")
    until(lambda: app.reviews.waiting() == [])
    listed = ada.get("/review").text
    assert "With their holders" in listed
    assert "<bdi>Zorblax</bdi>, by <bdi>Ada (safety)</bdi>" in listed
    text = ada.get(path).text
    assert "waits for an answer until" in text
    assert ('value="release"' in text, 'value="ask"' in text, 'value="block"' in text) == (False, False, True)
    assert decide_at(ada, path, "release").status_code == 409
    mara = sign_in(console, "Mara", "optout", account=OWNER)
    inbox = mara.get("/mine/asked").text
    assert "A person here looks at a clip" in inbox
    assert "A Zorblaks &lt;b&gt;waves" in inbox
    [permission] = re.findall(r'action="/mine/asked/([^"]+)"', inbox)
    answer = {"word": word(inbox), "answer": "once"}
    assert mara.post(f"/mine/asked/{permission}", data=answer).status_code == 303
    assert app.job(job).state is JobState.HELD
    assert releases.list_releases(app.engine, limit=1) == []
    assert "Back from its holder: allowed" in ada.get("/review").text
    text = ada.get(path).text
    assert "<b>allowed</b>, this one clip" in text
    assert ('value="release"' in text, 'value="ask"' in text) == (True, False)


def test_whose_holder_is_said_where_there_are_several(
    console: Any, app: Any, hold: Hold, registered: str
) -> None:
    order = {"kind": "character", "name": "Wexiphon", "owner": "Other Works", "mode": "block"}
    other = console.app.state.service.desk.register(parse_order(order), []).id
    hold(about(registered), about(other))
    ada = sign_in(console, "Ada")
    path = take(ada)
    refused = decide(ada, path, "ask")
    assert (refused.status_code, "tick at least one" in refused.text) == (422, True)
    form = {"word": word(ada.get(path).text), "decision": "ask", "whom-2": other}
    assert ada.post(path, data=form).status_code == 303
    until(lambda: bool(app.reviews.waiting(with_holders=True)))
    [one] = app.reviews.show(path.rpartition("/")[2])["asked"]
    assert (one["subject"], one["state"], one["by"]) == (other, "asked", "Ada (safety)")
    foreign = {"word": word(ada.get(path).text), "decision": "ask", "whom-1": "nobody"}
    assert ada.post(path, data=foreign).status_code == 400


def test_nobody_is_asked_about_what_nobody_registered(console: Any, app: Any, hold: Hold) -> None:
    hold(NAMED, clip=False)
    ada = sign_in(console, "Ada")
    path = take(ada)
    assert 'value="ask"' not in ada.get(path).text
    answer = decide(ada, path, "ask")
    assert (answer.status_code, "whose holder can be asked" in answer.text) == (400, True)
    assert app.reviews.waiting(with_holders=True) == []


def test_a_finding_stands_beside_what_is_registered(console: Any, hold: Hold, registered: str) -> None:
    seen = Reason(
        code="picture_match", check="frames", detail="It looks like it.",
        evidence={"subject": registered, "intent": "depict", "reference": "0" * 64, "score": 0.4,
                  "threshold": 0.3, "times": [0.5], "boxes": [[0.1, 0.2, 0.5, 0.6]]},
    )  # fmt: skip
    hold(about(registered), seen)
    ada = sign_in(console, "Ada")
    text = ada.get(take(ada)).text
    assert '<p class="words"><bdi>Zorblax</bdi></p>' in text
    assert "three tails" in text
    assert "real foxes" in text
    assert 'alt="Where finding 2 was seen, blurred"' in text
    assert "No picture is registered." in text
    assert 'as in <a href="#finding-1">finding 1</a>' in text
    assert 'href="#finding-2"' in text
    assert text.count('class="blurred"') == text.count("<img")


def decide_at(browser: TestClient, path: str, decision: str) -> Any:
    form = {"word": word(browser.get("/review").text), "decision": decision}
    return browser.post(path, data=form)


def test_a_picture_that_is_not_kept_is_named(
    console: Any, hold: Hold, make_clip: Any, tmp_path: Path
) -> None:
    """Where pictures are registered it is said which, and that it is not kept."""
    desk = console.app.state.service.desk
    from test_web_portal import png

    picture = tmp_path / "front view.png"
    picture.write_bytes(png(320, 240, 91))
    order = {"kind": "character", "name": "Quozzle", "owner": "Third Works", "mode": "block"}
    made = desk.register(parse_order(order), [picture])
    [row] = desk.pictures(made.id)
    seen = {"subject": made.id, "reference": row.sha256, "times": [0.5], "boxes": [[0, 0, 1, 1]]}
    hold(Reason(code="picture_match", check="frames", detail="It looks like it.", evidence=seen))
    ada = sign_in(console, "Ada")
    text = ada.get(take(ada)).text
    assert "<bdi>front view.png</bdi></b> 320 × 240" in text
    assert "which is not kept: only what was measured in it is" in text


def test_asking_a_holder_is_not_tried_twice(console: Any, app: Any, hold: Hold, registered: str) -> None:
    """The process died after they were asked, and before that was written down."""
    hold(about(registered), clip=False)
    ada = sign_in(console, "Ada")
    case = take(ada).rpartition("/")[2]
    me = app.reviews.show(case)["lease"]["holder"]
    app.reviews.ask(case, me)
    key = next(key for key in apikeys.list_keys(app.engine) if key.name == "Ada" and key.revoked_seq is None)
    died = time.time() - 120.0
    row = {"case_id": case, "decision": "ask", "voter": me, "key_id": key.id, "why": "", "subjects": []}
    with write(app.engine) as conn:
        conn.execute(pending_decision.insert().values(**row, due=died, begun=died, trouble=""))
    until(lambda: app.reviews.show(case)["pending"] is None)
    assert [one["id"] for one in app.reviews.waiting(with_holders=True)] == [case]
