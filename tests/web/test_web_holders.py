"""Your opt-outs: only one's own, changed and withdrawn by forms that carry the session's word."""

import json
import re
from typing import Any

import pytest
from portal_walk import DECLARED, ME, Walk, key_on, picture_part
from starlette.testclient import TestClient
from test_web_portal import png, service_of, subject_on

from pipeline.clock import clock
from registry import apikeys, claims, permissions, rules, sessions
from registry.permissions import Request
from registry.types import JobState, Reason
from registry.vocabulary import Conditions

WORD = re.compile(r'name="word" value="([0-9a-f]{64})"')


def holder(portal: Any, name: str, mode: str = "block") -> tuple[TestClient, str, str]:
    """A browser in which a new holder is signed in by their link, the opt-out, and the form's word."""
    walk = Walk.begin(portal)
    walk.send(2, "next", name=name)
    walk.send(3, "next", mode=mode)
    text = walk.finish(**ME, **DECLARED).text
    browser = TestClient(portal.app, base_url="https://testserver", follow_redirects=False)
    entered(browser, key_on(text))
    return browser, subject_on(text), WORD.findall(browser.get("/mine").text)[0]


def entered(browser: TestClient, key: str) -> None:
    asked = browser.get(f"/mine?key={key}")
    assert f'name="key" value="{key}"' in asked.text
    assert not asked.headers.get("set-cookie")
    answer = browser.post("/mine/enter", data={"key": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "/mine")


def test_the_private_link_opens_ones_own_pages(portal: Any) -> None:
    browser, subject, _ = holder(portal, "Brimblewock")
    text = browser.get("/mine").text
    assert "Brimblewock" in text
    assert "in force, to be checked" in text
    assert "Brimblewock" in browser.get(f"/mine/{subject}").text
    receipt = browser.get(f"/mine/{subject}/receipt")
    assert receipt.headers["content-disposition"].startswith("attachment")
    assert json.loads(receipt.text)["format"] == "countermark-receipt/1"


def test_a_receipt_opens_ones_own_act_and_never_what_others_noted(portal: Any) -> None:
    browser, subject, _ = holder(portal, "Quandlefrost")
    here = service_of(portal)
    party = here.desk.show(subject).party
    claims.verify(
        here.app.engine, party, "document", why={"seen": "passport 4711"}, now=clock(),
        sign_checkpoint=here.app.signer,
    )  # fmt: skip
    told = json.loads(browser.get(f"/mine/{subject}/receipt").text)
    assert json.loads(told["entry"])["kind"] == "opt-out"
    assert "Quandlefrost" in str(told["opened"])
    assert "4711" not in str(told)


@pytest.mark.parametrize("key", ["", "x", "cmk_" + "0" * 40, "<script>", "cmk_\u00e9"])
def test_a_wrong_key_opens_nothing(portal: Any, key: str) -> None:
    answer = portal.post("/mine/enter", data={"key": key})
    assert answer.status_code in (401, 422)
    assert not answer.headers.get("set-cookie")
    assert "<script>" not in portal.get("/mine", params={"key": key}).text


def test_a_key_for_something_else_opens_nothing(portal: Any) -> None:
    engine = service_of(portal).app.engine
    secret = apikeys.create(engine, "maker", "m", ["create"], now=clock())[1]
    assert portal.post("/mine/enter", data={"key": secret}).status_code == 403


def test_a_revoked_key_ends_the_session(portal: Any) -> None:
    browser, _, _ = holder(portal, "Crinklethwart")
    app = service_of(portal).app
    owner = re.findall(r'<p class="name"><bdi>([^<]+)</bdi>', browser.get("/mine").text)[0]
    [key] = apikeys.list_keys(app.engine, account=owner)
    apikeys.revoke(app.engine, key.id, why={}, now=clock(), sign_checkpoint=app.signer)
    assert "Open your opt-outs" in browser.get("/mine").text


def test_nobody_sees_or_changes_anothers(portal: Any) -> None:
    _, others, _ = holder(portal, "Dribblesnout")
    browser, _, word = holder(portal, "Fizzlecrank")
    for path in (f"/mine/{others}", f"/mine/{others}/receipt"):
        answer = browser.get(path)
        assert (answer.status_code, "Dribblesnout" in answer.text) == (404, False)
    gone = browser.post(f"/mine/{others}/withdraw", data={"word": word, "sure": "yes"})
    assert gone.status_code == 404
    changed = browser.post(
        f"/mine/change?subject={others}", files={"word": (None, word), "aliases": (None, "x")}
    )
    assert changed.status_code == 404
    assert service_of(portal).desk.show(others).state == "active"


@pytest.mark.parametrize("path", ["/mine/asked", "/mine/x", "/mine/x/receipt"])
def test_who_is_not_signed_in(portal: Any, path: str) -> None:
    assert portal.get(path).status_code == 401
    for post in ("/mine/x/withdraw", "/mine/change", "/mine/asked/x"):
        assert portal.post(post, data={"sure": "yes"}).status_code == 401


def test_more_names_and_pictures_and_another_mode(portal: Any) -> None:
    browser, subject, word = holder(portal, "Gobblethrip")
    parts = [("word", (None, word)), ("mode", (None, "ask")), ("aliases", (None, "Gobbles of Thrip"))]
    answer = browser.post(
        f"/mine/change?subject={subject}", files=[*parts, picture_part("a.png", png(seed=9))]
    )
    assert answer.status_code == 303, answer.text
    record = service_of(portal).desk.show(subject)
    assert record.mode == "ask"
    assert "Gobbles of Thrip" in {name.text for name in record.names}
    assert len(service_of(portal).desk.pictures(subject)) == 1
    assert record.standing == "provisional"  # it is still to be checked who this is


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ([], 422, "nothing was changed"), ([("mode", (None, "allow"))], 422, "nothing, or ask"),
        ([("aliases", (None, "the"))], 422, "“the”"),
        ([picture_part("a.png", b"no picture")], 422, "not a picture"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be(portal: Any, parts: list[Any], status: int, said: str) -> None:
    name = f"Hobbledrix {'abcdefghij'[abs(hash(said)) % 10]}umf"
    browser, subject, word = holder(portal, name)
    before = service_of(portal).desk.show(subject)
    answer = browser.post(f"/mine/change?subject={subject}", files=[("word", (None, word)), *parts])
    assert (answer.status_code in (status, 500), said in answer.text.lower()) == (True, True), answer.text
    assert service_of(portal).desk.show(subject) == before


@pytest.mark.parametrize("word", ["", "0" * 64])
def test_a_form_without_the_sessions_word(portal: Any, word: str) -> None:
    browser, subject, _ = holder(portal, f"Jumblewick {'ab'[len(word) > 0]}osp")
    answers = [
        browser.post(f"/mine/{subject}/withdraw", data={"word": word, "sure": "yes"}),
        browser.post(
            f"/mine/change?subject={subject}", files={"word": (None, word), "aliases": (None, "Jum")}
        ),
    ]
    assert [one.status_code for one in answers] == [422, 422]
    assert service_of(portal).desk.show(subject).state == "active"


def test_withdrawn_by_its_holder(portal: Any) -> None:
    browser, subject, word = holder(portal, "Kerfuffleton")
    unsure = browser.post(f"/mine/{subject}/withdraw", data={"word": word})
    assert (unsure.status_code, "you are sure" in unsure.text) == (422, True)
    assert browser.post(f"/mine/{subject}/withdraw", data={"word": word, "sure": "yes"}).status_code == 303
    assert service_of(portal).desk.show(subject).state == "withdrawn"
    assert service_of(portal).app.judge("a photo of Kerfuffleton", policy="opt-out").verdict == "allow"
    assert "Withdrawn." in browser.get("/mine?done=withdrawn").text


def asked(portal: Any, subject: str) -> Any:
    """A job that waits for the holder's word."""
    app = service_of(portal).app
    inputs = {"policy": "opt-out", "prompt": "a <i>tall</i> one", "key": "", "account": "studio"}
    job = app._bench.jobs.submit("create/1", f"asks about {subject}", inputs)
    evidence: Any = {"asks": True, "subject": subject, "intent": "depict"}
    reason = Reason(code="name_match", check="prompt_names", detail="Its name.", evidence=evidence)
    wanted = Request(account="studio", purpose="parody", prompt="a <i>tall</i> one", preview="", days=7)
    app._bench.jobs.finish(
        job, JobState.HELD, {"decision": None, "reasons": []}, reasons=[reason],
        also_held=lambda conn, hold: permissions.ask(conn, hold, wanted, now=clock(), signer=app.signer),
    )  # fmt: skip
    [found] = permissions.list_permissions(app.engine, job_id=job.id)
    return found


@pytest.mark.parametrize(
    ("answer", "state"), [("once", "approved"), ("account", "approved"), ("refuse", "refused")]
)
def test_a_request_is_answered(portal: Any, answer: str, state: str) -> None:
    browser, subject, word = holder(portal, f"Lollygagger {answer}olf", "ask")
    one = asked(portal, subject)
    text = browser.get("/mine/asked").text
    assert "One request waits." in text
    assert "a &lt;i&gt;tall&lt;/i&gt; one" in text
    assert "Requests (1)" in browser.get("/mine").text
    assert browser.post(f"/mine/asked/{one.id}", data={"answer": answer}).status_code == 422
    assert browser.post(f"/mine/asked/{one.id}", data={"word": word, "answer": "maybe"}).status_code == 422
    assert browser.post(f"/mine/asked/{one.id}", data={"word": word, "answer": answer}).status_code == 303
    assert permissions.get(service_of(portal).app.engine, one.id).state == state
    assert "Nobody asks." in browser.get("/mine/asked?done=answered").text
    again = browser.post(f"/mine/asked/{one.id}", data={"word": word, "answer": "refuse", "why": "no"})
    assert again.status_code == 409


def test_nobody_answers_for_another(portal: Any) -> None:
    _, subject, _ = holder(portal, "Mumblecrust", "ask")
    one = asked(portal, subject)
    browser, _, word = holder(portal, "Nincompoopler")
    answer = browser.post(f"/mine/asked/{one.id}", data={"word": word, "answer": "once"})
    assert (answer.status_code, "no such request" in answer.text) == (404, True)
    assert permissions.get(service_of(portal).app.engine, one.id).state == "asked"


def test_a_link_of_the_operator_leads_there_too(portal: Any) -> None:
    """`apikeys link` for a key for opt-outs; what is registered with it is the operator's word."""
    engine = service_of(portal).app.engine
    key, _ = apikeys.create(engine, "studio", "Ada", ("optout",), now=clock())
    link = sessions.make_link(engine, key.id, clock())
    browser = TestClient(portal.app, base_url="https://testserver", follow_redirects=False)
    answer = browser.post("/sign-in", data={"link": link})
    assert (answer.status_code, answer.headers["location"]) == (303, "/mine")
    walk = Walk.begin(browser)
    walk.send(2, "next", name="Oddlesworth")
    text = walk.see(4)
    assert 'name="who"' not in text
    assert walk.send(4, "register", **DECLARED).status_code == 422  # without the word of the session
    subject = subject_on(walk.finish(word=WORD.findall(text)[0], **DECLARED).text)
    record = service_of(portal).desk.show(subject)
    assert (record.owner, record.standing) == ("studio", "active")
    assert "Oddlesworth" in browser.get("/mine").text


def test_rules_are_shown(portal: Any) -> None:
    browser, subject, _ = holder(portal, "Pifflesnitch")
    app = service_of(portal).app
    rules.set_rule(
        app.engine, subject, "allow", conditions=Conditions(purposes=("research",)), now=clock(),
        sign_checkpoint=app.signer,
    )  # fmt: skip
    assert "research" in browser.get(f"/mine/{subject}").text
