"""The opt-out pages: nothing typed is lost, everything hostile gets a sentence, and what is said holds."""

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from portal_walk import DECLARED, ME, Walk, key_on, picture_part
from starlette.testclient import TestClient

from pipeline.api.service import make_service
from pipeline.clock import clock
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.web import drafts
from pipeline.web.portal_end import EACH_HOUR
from pipeline.web.portal_words import PURPOSE_WORDS
from registry import apikeys, claims, parties, sessions
from registry.vocabulary import PURPOSES

NAME = "Zorblax the Brave"


def png(width: int = 200, height: int = 160, seed: int = 1) -> bytes:
    """A picture with shapes in it."""
    rng = np.random.default_rng(seed)
    drawn = np.full((height, width, 3), 230, np.uint8)
    for _ in range(14):
        centre = [int(value) for value in rng.integers(0, (width, height))]
        colour = [int(value) for value in rng.integers(0, 255, 3)]
        cv2.circle(drawn, centre, int(rng.integers(8, 50)), colour, -1)
    return encoded(drawn)


def encoded(picture: Any) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def service_of(pages: Any) -> Any:
    return pages.app.state.service


def subject_on(text: str) -> str:
    return re.findall(r"<dt>Number</dt><dd><code>([\w-]+)</code>", text)[0]


def test_every_purpose_has_words() -> None:
    assert tuple(PURPOSE_WORDS) == PURPOSES


def test_a_newcomer_says_no(portal: Any) -> None:
    """Five steps, one holder, one claim in force, one key for later, a receipt that can be checked."""
    walk = Walk.begin(portal)
    told = walk.send(2, "names", name=NAME, aliases="Zorbi", kind="character")
    assert told.status_code == 303
    text = walk.see(2)
    assert "✓ Zorbi:" in text
    assert "Зорблакс" in text
    assert walk.send(2, "next", name=NAME, aliases="Zorbi", native=["ru=Зорблакс"]).status_code == 303
    assert walk.send(3, "next", mode="block").status_code == 303
    answer = walk.finish(**ME, **DECLARED)
    assert "In force since" in answer.text
    assert "Refused from the next request." in answer.text
    subject = subject_on(answer.text)
    here = service_of(portal)
    record = here.desk.show(subject)
    assert {name.text for name in record.names} == {NAME, "Zorbi", "Зорблакс"}
    assert record.owner.startswith("Mara Quill, ")
    claim = next(one for one in claims.list_claims(here.app.engine) if one.subject == subject)
    assert (claim.state, claim.statements["email"]) == ("provisional", "mara@example.org")
    link = re.findall(r'download="receipt.json" href="data:application/json;base64,([^"]+)"', answer.text)[0]
    [kept] = json.loads(base64.b64decode(link))
    assert kept["receipt"]["proof"]["sequence"] == kept["seq"]
    key = apikeys.authenticate(here.app.engine, key_on(answer.text), clock())
    assert (key.scopes, key.account) == (("holder",), record.owner)
    assert here.app.judge(f"a photo of {NAME}", policy="opt-out").verdict == "block"


def test_the_last_page_can_be_opened_again_and_nothing_secret_is_stored(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Quibblewick")
    walk.send(3, "next", mode="block")
    text = walk.finish(**ME, **DECLARED).text
    again = portal.get(f"/optout/done?d={walk.secret}").text
    assert key_on(again) == key_on(text)
    folder = service_of(portal).drafts.open(walk.secret).folder
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    secret = key_on(text).split("_", 2)[2].encode()
    assert secret not in stored
    assert walk.secret.encode() not in stored
    assert b"mara@example.org" not in stored
    assert portal.get(walk.at(2)).headers["location"] == f"/optout/done?d={walk.secret}"
    assert walk.send(2, "next", name="Another").headers["location"] == f"/optout/done?d={walk.secret}"


def test_two_of_one_name_are_two_holders(portal: Any) -> None:
    owners = []
    for name in ("Flumpadoodle", "Grindlewhit"):
        walk = Walk.begin(portal)
        walk.send(2, "next", name=name)
        subject = subject_on(walk.finish(**ME, **DECLARED).text)
        owners.append(service_of(portal).desk.show(subject).owner)
    assert owners[0] != owners[1]


@pytest.mark.parametrize(
    ("step", "fields", "said"),
    [
        (2, {"name": " "}, "name is missing"), (2, {"name": "the"}, "“the”"), (2, {"name": "x" * 300}, "200"),
        (3, {"mode": "some"}, "purpose"), (4, DECLARED | ME | {"who": ""}, "your name"),
        (4, DECLARED | ME | {"email": "mara"}, "e-mail"), (4, ME, "rights holder"),
        (4, DECLARED | ME | {"key": "cmk_wrong"}, "not an API key"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_and_the_rest_stays(
    portal: Any, step: int, fields: dict[str, str], said: str
) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name=NAME, description="a <b>purple</b> fox")
    head = portal.get("/healthz").json()["registry_seq"]
    answer = walk.send(step, "register" if step == 4 else "next", **fields)
    assert (answer.status_code in (401, 422), said in answer.text) == (True, True), answer.text
    assert 'role="alert"' in answer.text
    assert "a &lt;b&gt;purple&lt;/b&gt; fox" in walk.see(2)
    assert portal.get("/healthz").json()["registry_seq"] == head
    if "email" in fields:
        assert f'value="{fields["email"]}"' in answer.text


def test_each_picture_gets_a_tick_or_a_sentence(portal: Any) -> None:
    """Hostile names, wrong types and small ones: told beside those that are good, which stay."""
    walk = Walk.begin(portal)
    parts = [
        picture_part("../../etc/passwd\r\n<i>.png", png()), picture_part("small.png", png(90, 120)),
        picture_part("film.gif", b"GIF89a" + bytes(40)), picture_part("page.png", b"<html>" + bytes(40)),
        picture_part("plain.png", encoded(np.full((128, 128, 3), 9, np.uint8))),
    ]  # fmt: skip
    assert walk.send(2, "pictures", *parts, name=NAME).status_code == 303
    text = walk.see(2)
    assert "✓ good" in text
    assert "90 px; needs 96" in text
    assert "This is a GIF; save it as PNG, JPEG or WebP" in text
    assert "web page" in text
    assert text.count("✕") == 4
    assert "<i>" not in text
    assert "/etc/" not in text
    draft = service_of(portal).drafts.open(walk.secret)
    names = {path.name for path in draft.folder.iterdir()}
    assert all(re.fullmatch(r"[0-9a-f]{64}|draft\.json|lock", name) for name in names)
    assert all(path.parent == draft.folder for path in draft.folder.rglob("*"))
    assert f'value="{NAME}"' in text
    good = next(one for one in draft.written.pictures if one.taken)
    assert walk.send(2, f"remove:{good.sha256}", name=NAME).status_code == 303
    assert good.sha256 not in {path.name for path in draft.folder.iterdir()}
    walk.send(2, "remove:../../draft.json", name=NAME)
    assert (draft.folder / "draft.json").exists()


def test_pictures_are_registered_and_then_deleted(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(
        2, "next", picture_part("a.png", png(seed=2)), picture_part("b.png", png(seed=3)), name="Wimblefax"
    )
    draft = service_of(portal).drafts.open(walk.secret)
    assert [one.taken for one in draft.written.pictures] == [True, True]
    subject = subject_on(walk.finish(**ME, **DECLARED).text)
    assert len(service_of(portal).desk.pictures(subject)) == 2
    assert {path.name for path in draft.folder.iterdir()} == {"draft.json", "lock"}


def test_more_pictures_than_are_taken(portal: Any) -> None:
    walk = Walk.begin(portal)
    parts = [picture_part(f"{n}.png", f"no picture {n}".encode()) for n in range(drafts.MAX_PICTURES + 1)]
    answer = walk.send(2, "pictures", *parts, name=NAME)
    assert (answer.status_code, "20 pictures are enough" in answer.text) == (422, True)
    assert f'value="{NAME}"' in answer.text


def test_more_parts_than_are_read_lose_no_word(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "names", name="Zorblax", native=["ru=Зорблакс"])
    parts = [picture_part(f"{n}.png", b"x") for n in range(60)]
    answer = walk.send(2, "pictures", *parts, name=NAME)
    assert answer.status_code == 413
    assert f'value="{NAME}"' in answer.text
    assert 'value="ru=Зорблакс" checked' in answer.text  # it had not come again, and is not unticked


def test_the_disk_of_drafts_ends(portal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_BYTES", 1000)
    answer = Walk.begin(portal).send(2, "pictures", picture_part("a.png", png(seed=4)), name=NAME)
    assert (answer.status_code, "no room is left" in answer.text.lower()) == (413, True)


def test_trying_says_what_this_one_would_stop(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "try", name="Snorkelbatz", sentence="a portrait of Snorkelbatz")
    walk.send(2, "try", name="Snorkelbatz", sentence="a dog in the snow")
    first, second = re.findall(r"This would be refused|This would go through", walk.see(2))
    assert (first, second) == ("This would go through", "This would be refused")


def test_trying_tells_nothing_of_others(portal: Any) -> None:
    """Somebody else's name is registered; with this draft alone it goes through."""
    other = Walk.begin(portal)
    other.send(2, "next", name="Plonkwhistle")
    other.finish(**ME, **DECLARED)
    walk = Walk.begin(portal)
    walk.send(2, "try", name="Snorkelbatz", sentence="a portrait of Plonkwhistle")
    text = walk.see(2)
    assert "This would go through" in text
    assert "score" not in text.lower()


def test_nobody_tries_without_end(portal: Any) -> None:
    walk = Walk.begin(portal)
    here = service_of(portal)
    draft = here.drafts.open(walk.secret)
    here.drafts.save(draft, tries=30)
    answer = walk.send(2, "try", name="Snorkelbatz", sentence="a dog")
    assert (answer.status_code, "30 tries" in answer.text) == (429, True)


def test_allowed_for_some_purposes(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Trundlebim")
    walk.send(3, "next", mode="some", purposes=["education", "research", "nonsense"], credit="© Mara")
    text = walk.finish(**ME, **DECLARED).text
    record = service_of(portal).desk.show(subject_on(text))
    [rule] = record.rules
    assert (rule.effect, rule.conditions.purposes) == ("allow", ("education", "research"))
    assert rule.conditions.credit == "© Mara"
    assert record.mode == "block"


def test_the_whole_catalogue(portal: Any) -> None:
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Bimbleforth")
    walk.send(3, "next", mode="ask", catalogue="yes")
    text = walk.finish(**{**ME, "who": "Orlandine Vex"}, **DECLARED).text
    assert "with the whole catalogue" in text
    owner = service_of(portal).desk.show(subject_on(text)).owner
    kinds = {one.kind: one for one in service_of(portal).desk.every(owner)}
    assert set(kinds) == {"character", "portfolio"}
    assert kinds["portfolio"].name == "Orlandine Vex"


def test_a_likeness_is_signed_and_an_estate_told(portal: Any) -> None:
    walk = Walk.begin(portal, "represented")
    walk.send(2, "next", name="Ferdinand Quorl")
    said = {**ME, "died_on": "1987-03-04", "party": "person"}
    assert "sign with your name" in walk.send(4, "register", **said, **DECLARED).text.lower()
    text = walk.finish(**said, **DECLARED, signature="Mara Quill").text
    record = service_of(portal).desk.show(subject_on(text))
    assert (record.kind, record.died_on) == ("person", "1987-03-04")
    party = parties.find(service_of(portal).app.engine, record.owner)
    assert party.estate is not None


def test_a_key_of_the_service_speaks_as_before(portal: Any) -> None:
    engine = service_of(portal).app.engine
    secret = apikeys.create(engine, "studio", "test", ["optout"], now=clock())[1]
    walk = Walk.begin(portal)
    walk.send(2, "next", name="Wozzlebeck")
    answer = walk.finish(key=secret, **DECLARED)
    record = service_of(portal).desk.show(subject_on(answer.text))
    assert (record.owner, record.standing) == ("studio", "active")
    assert secret not in answer.text
    assert "cmk_" not in answer.text


def test_a_reviewer_who_opts_out_is_a_stranger(portal: Any) -> None:
    """Signed in to decide cases: that gives no say here, and stands in nobody's way."""
    engine = service_of(portal).app.engine
    key, _ = apikeys.create(engine, "safety", "Ada", ("review",), now=clock())
    browser = TestClient(portal.app, base_url="https://testserver", follow_redirects=False)
    browser.post("/sign-in", data={"link": sessions.make_link(engine, key.id, clock())})
    walk = Walk.begin(browser)
    walk.send(2, "next", name="Bumblethrup")
    assert 'name="who"' in walk.see(4)
    subject = subject_on(walk.finish(**ME, **DECLARED).text)
    assert service_of(portal).desk.show(subject).owner.startswith("Mara Quill, ")


@pytest.mark.parametrize("path", ["/optout", "draft"])
def test_forms_of_other_sites(portal: Any, path: str) -> None:
    walk = Walk.begin(portal)
    crossed = {"Sec-Fetch-Site": "cross-site"}
    if path == "draft":
        answer = walk.send(2, "next", name=NAME, headers=crossed)
    else:
        answer = portal.post(path, data={"whom": "work"}, headers=crossed)
    assert (answer.status_code, "another site" in answer.text) == (422, True)


@pytest.mark.parametrize("secret", ["", "x", "../../keys", "A" * 43, "%00" * 3])
def test_a_form_without_its_secret(portal: Any, secret: str) -> None:
    """It stands in the address of whoever writes it, and is what a forger lacks."""
    for answer in (
        portal.get(f"/optout/draft?d={secret}"), portal.get(f"/optout/done?d={secret}"),
        portal.post(f"/optout/draft?d={secret}", files={"name": (None, "x")}),
    ):  # fmt: skip
        assert answer.status_code == 404
        assert "begin again" in answer.text


def test_a_form_of_yesterday_is_gone(portal: Any) -> None:
    walk = Walk.begin(portal)
    folder = service_of(portal).drafts.open(walk.secret).folder
    old = time.time() - drafts.KEPT_SECONDS - 60
    os.utime(folder / drafts.FILE, (old, old))
    answer = walk.send(2, "next", name=NAME)
    assert (answer.status_code, "begin again" in answer.text) == (404, True)
    Walk.begin(portal)
    assert not folder.exists()


def test_drafts_of_yesterday_are_deleted_though_nobody_writes_another(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    draft = drafts.Drafts(home.drafts).begin({"name": NAME})
    old = time.time() - drafts.KEPT_SECONDS - 60
    os.utime(draft.folder / drafts.FILE, (old, old))
    with TestClient(make_service(Settings(home=home.root, policy="marks-only"))):
        until = time.monotonic() + 60
        while draft.folder.exists() and time.monotonic() < until:
            time.sleep(0.05)
    assert not draft.folder.exists()


def test_pictures_are_taken_while_another_draft_goes(tmp_path: Path) -> None:
    here = drafts.Drafts(tmp_path)
    mine, other = here.begin({}), here.begin({})
    (other.folder / "gone").symlink_to(tmp_path / "nothing")  # is listed, and is not there any more
    here.add_picture(mine, "0" * 64, b"picture")
    assert mine.picture("0" * 64).read_bytes() == b"picture"


def test_a_damaged_draft_is_gone(portal: Any) -> None:
    walk = Walk.begin(portal)
    folder = service_of(portal).drafts.open(walk.secret).folder
    (folder / drafts.FILE).write_text('{"v": 1, "fields": 7}')
    assert portal.get(walk.at(2)).status_code == 404


@pytest.mark.parametrize("step", ["0", "9", "x"])
def test_a_step_that_there_is_not(portal: Any, step: str) -> None:
    walk = Walk.begin(portal)
    assert portal.get(f"/optout/draft?d={walk.secret}&step={step}").status_code == 422


def test_a_body_of_another_kind(portal: Any) -> None:
    answer = portal.post(Walk.begin(portal).at(2), data={"name": NAME})
    assert (answer.status_code, "multipart" in answer.text) == (415, True)


def test_strangers_are_not_without_number(portal: Any) -> None:
    codes = []
    for number in range(EACH_HOUR.amount + 1):
        walk = Walk.begin(portal)
        walk.send(2, "next", name=f"Gnarfling {'abcdefgh'[number]}olp")
        codes.append(walk.send(4, "register", **ME, **DECLARED).status_code)
    assert codes == [303] * EACH_HOUR.amount + [429]


@pytest.fixture(name="closed")
def a_service_for_known_holders(tmp_path: Any) -> Iterator[Any]:
    settings = Settings(home=tmp_path, policy="marks-only", self_service=0)
    with TestClient(make_service(settings), base_url="https://testserver", follow_redirects=False) as client:
        yield client


def test_only_with_a_key_where_the_service_says_so(closed: Any) -> None:
    walk = Walk.begin(closed)
    walk.send(2, "next", name=NAME)
    assert 'name="who"' not in walk.see(4)
    answer = walk.send(4, "register", **ME, **DECLARED)
    assert (answer.status_code, "type the key" in answer.text.lower()) == (422, True)
