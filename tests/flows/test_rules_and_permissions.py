"""Rules, permissions and consents on the command line: what is asked for decides, and holders answer."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import open_app
from pipeline.cli.main import main
from pipeline.clock import clock, rfc3339
from pipeline.orders import CreateOrder
from pipeline.policy import PRESETS
from pipeline.settings import load
from registry import optouts, permissions, releases, uses
from registry.db import read
from registry.tables import job_step

GROUPS = ("optout", "rule", "licence", "permission", "consent", "apikeys")


@dataclass(frozen=True)
class Told:
    status: int
    document: Any
    words: str


Command = Callable[..., Told]


@pytest.fixture(autouse=True, params=[pytest.param("sqlite", marks=pytest.mark.soak), "postgres"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests here run on PostgreSQL, with the long ones on SQLite; `test_registry_scenarios` the other way."""
    if request.param == "sqlite":
        yield
        return
    with request.getfixturevalue("postgres").make() as url:
        monkeypatch.setenv("COUNTERMARK_DATABASE_URL", url)
        yield


@pytest.fixture
def one_day() -> None:
    """A cap counts by days (UTC): a test of one does not begin right before midnight."""
    now = datetime.now(UTC)
    if (now + timedelta(minutes=10)).date() != now.date():
        pytest.skip("does not apply: it is midnight (UTC) in a moment")


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `countermark` with --json on the test's home."""

    def command(*arguments: str | Path) -> Told:
        monkeypatch.setenv("COUNTERMARK_HOME", str(home))
        words = [*map(str, arguments)]
        at = 2 if words[0] in GROUPS else 1
        monkeypatch.setattr(sys, "argv", ["countermark", *words[:at], "--json", *words[at:]])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert isinstance(stopped.value.code, int)
        return Told(stopped.value.code, json.loads(out) if out else None, err)

    return command


def register(run: Command, name: str, *options: str) -> str:
    made = run("optout", "add", name, "--owner", "Studio Example", *options)
    assert made.status == 0, made.words
    return str(made.document["id"])


def create(run: Command, prompt: str, *options: str, seed: int = 1) -> Told:
    given = ("--generator", "scene", "--seconds", "1", "--size", "256x256", "--seed", str(seed))
    return run("create", prompt, *given, *options)


def codes(told: Told) -> list[str]:
    return [reason["code"] for reason in told.document["decision"]["reasons"]]


def test_a_rule_allows_what_was_asked_for_and_nothing_else(run: Command, home: Path) -> None:
    subject = register(run, "Zorblax")
    rule = run(
        "rule", "add", subject, "allow", "--region", "EU", "--purpose", "education", "--credit", "© Studio"
    ).document["rule"]
    prompt = "Zorblax walks home"
    assert run("gate", prompt).document["verdict"] == "block"
    assert run("gate", prompt, "--region", "DE").document["verdict"] == "block"
    assert run("gate", prompt, "--region", "US", "--purpose", "education").document["verdict"] == "block"
    assert run("gate", prompt, "--region", "DE", "--purpose", "education").status == 0
    refused = create(run, prompt, "--region", "DE", "--purpose", "commercial")
    assert (refused.status, codes(refused)) == (1, ["name_match"])
    [reason] = refused.document["decision"]["reasons"]
    assert (reason["evidence"]["won"], reason["evidence"]["preset"]) == (
        "mode",
        f"opt-out/{PRESETS['opt-out'].version}",
    )
    released = create(run, prompt, "--region", "DE", "--purpose", "education")
    assert released.status == 0
    [ruled] = released.document["decision"]["rulings"]
    assert (ruled["rule"], ruled["by"], ruled["credit"]) == (rule, "rule", "© Studio")
    with open_app(load(home)) as app:
        made = releases.get(app.engine, released.document["release"]["id"])
        assert made is not None
        assert uses.rules_of(app.engine, made.id) == [rule]
    assert made.facts["use"] == {"region": "DE", "purpose": "education"}
    assert made.facts["credits"] == ["© Studio"]
    wrong = create(run, prompt, "--purpose", "fun")
    assert (wrong.status, wrong.document["error"]["code"]) == (2, "usage")


def test_explain_says_who_won_and_who_lost(run: Command) -> None:
    subject = register(run, "Zorblax")
    wide = run("rule", "add", subject, "block", "--purpose", "advertising").document["rule"]
    mild = run("rule", "add", subject, "review").document["rule"]
    licence = run("licence", "grant", subject, "--account", "friend", "--region", "US").document["licence"]
    ask = ("rule", "explain", subject, "--account", "friend")
    told = run(*ask, "--region", "US", "--purpose", "advertising")
    assert (told.status, told.document["outcome"], told.document["rule"]) == (0, "allow", licence)
    assert [(one["rule"], one["why"]) for one in told.document["lost"]] == [
        (wide, "a rule for an account counts before one for everybody"),
        (mild, "a rule for an account counts before one for everybody"),
    ]
    assert f"won: {licence}" in told.words
    told = run(*ask, "--purpose", "advertising")
    assert (told.status, told.document["outcome"], told.document["rule"]) == (1, "block", wide)
    assert [(one["rule"], one["why"]) for one in told.document["not_applying"]] == [
        (licence, "no region was said")
    ]
    assert run("rule", "remove", wide).status == 0
    assert run(*ask, "--purpose", "advertising").document["outcome"] == "review"
    assert {one["rule"] for one in run("rule", "list", subject).document} == {mild, licence}
    assert run("rule", "add", subject, "allow", "--region", "XX").status == 2
    assert run("rule", "explain", "nobody").status == 3


@pytest.mark.usefixtures("one_day")
def test_a_cap_ends_for_the_day(run: Command) -> None:
    subject = register(run, "Zorblax")
    run("rule", "add", subject, "allow", "--cap-all", "1")
    assert create(run, "Zorblax sings").status == 0
    again = create(run, "Zorblax sings", seed=2)
    assert (again.status, codes(again)) == (1, ["name_match"])
    told = run("rule", "explain", subject)
    assert [one["why"] for one in told.document["not_applying"]] == ["used up for today"]


@pytest.mark.usefixtures("one_day")
def test_a_cap_that_is_reached_meanwhile_holds_until_another_day(run: Command, home: Path) -> None:
    subject = register(run, "Zorblax")
    run("rule", "add", subject, "allow", "--cap-account", "1")

    def order(seed: int) -> CreateOrder:
        return CreateOrder(
            prompt="Zorblax sings", policy="opt-out", generator="scene", seconds=1, seed=seed, width=256,
            height=256,
        )  # fmt: skip

    with open_app(load(home)) as app:

        def meanwhile(step: str, event: str, _value: float) -> None:
            if (step, event) == ("store", "end"):
                assert app.create(order(2), lambda *_: None).release is not None

        held = app.create(order(1), meanwhile)
        assert (held.release, [reason["code"] for reason in held.held]) == (None, ["cap_reached"])
        assert list(app.resume(lambda *_: None)) == []
        assert app.job(held.job.id).state == "held"
        tomorrow = rfc3339(datetime.now(UTC) + timedelta(days=1))
        assert uses.lift_of_days_before(app.engine, tomorrow) == [held.job.id]
        assert uses.lift_of_days_before(app.engine, tomorrow) == []
        [again] = app.resume(lambda *_: None)  # it is still today, so it is judged and refused
        assert again.outcome is not None
        assert again.outcome.job.state == "refused"


def test_a_permission_is_asked_for_approved_and_named(run: Command, home: Path) -> None:
    register(run, "Zorblax", "--mode", "ask")
    held = create(run, "Zorblax waves", "--purpose", "editorial")
    assert (held.status, held.document["release"]) == (1, None)
    [asked] = run("permission", "list", "--state", "asked").document
    assert (asked["account"], asked["purpose"], asked["prompt"]) == ("local", "editorial", "Zorblax waves")
    shown = run("permission", "show", asked["id"])
    assert shown.document["name"] == "Zorblax"
    approved = run("permission", "approve", asked["id"])
    assert (approved.status, approved.document["job_state"]) == (0, "released")
    again = create(run, "Zorblax waves", "--purpose", "editorial")
    assert again.status == 0
    with open_app(load(home)) as app:
        made = releases.get(app.engine, again.document["release"]["id"])
        assert made is not None
        with read(app.engine) as conn:
            steps = {row.name for row in conn.execute(job_step.select())}
    assert made.facts["permissions"] == [asked["id"]]
    assert {"gate", "gate/1", "generate", "decide/1", "sign/1", "mark/1"} <= steps
    assert "decide" not in steps
    assert asked["id"].encode() in Path(again.document["release"]["file"]).read_bytes()  # in its manifest
    register(run, "Zorblax", "--mode", "ask", "--alias", "Zorbolino")  # looks through what is out
    assert create(run, "Zorblax waves", "--purpose", "editorial").status == 0
    other = create(run, "Zorblax waves", "--purpose", "editorial", seed=2)  # this job only
    assert other.status == 1
    assert len(run("permission", "list", "--state", "asked").document) == 1


def test_a_permission_is_refused_and_another_times_out(run: Command, monkeypatch: Any) -> None:
    register(run, "Zorblax", "--mode", "ask")
    create(run, "Zorblax waves")
    [asked] = run("permission", "list", "--state", "asked").document
    refused = run("permission", "refuse", asked["id"], "--why", "no")
    assert (refused.status, refused.document["job_state"]) == (0, "refused")
    assert run("permission", "approve", asked["id"]).document["error"]["code"] == "permission_answered"
    monkeypatch.setenv("COUNTERMARK_ASK_DAYS", "0")
    create(run, "Zorblax sleeps")
    [ended] = run("permission", "expire").document
    assert (ended["state"], ended["prompt"]) == ("expired", "Zorblax sleeps")
    assert run("permission", "expire").document == []
    assert run("permission", "list", "--state", "nonsense").status == 2


def test_a_licence_by_permission_is_for_the_account(run: Command) -> None:
    register(run, "Zorblax", "--mode", "ask")
    create(run, "Zorblax waves")
    [asked] = run("permission", "list").document
    told = run("permission", "approve", asked["id"], "--account", "--purpose", "personal")
    assert told.document["job_state"] == "held"  # its purpose was not said: the holder is asked again
    assert create(run, "Zorblax waves", "--purpose", "personal", seed=3).status == 0
    states = sorted(one["state"] for one in run("permission", "list").document)
    assert states == ["approved", "asked"]


def test_a_clip_waits_in_the_home_for_the_answer(run: Command, clip: Path) -> None:
    register(run, "Zorblax", "--mode", "ask")
    held = run("guard", clip, "--prompt", "Zorblax walks", "--policy", "opt-out")
    assert held.status == 1
    clip.unlink()
    [asked] = run("permission", "list").document
    assert Path(run("permission", "show", asked["id"]).document["preview"]).is_file()
    assert run("permission", "approve", asked["id"]).document["job_state"] == "released"


def test_an_ask_that_comes_at_the_fence_is_signed_anew(home: Path) -> None:
    """A wish to be asked that is registered while the clip is made: asked, approved, and signed again."""
    from registry.subject_types import NameDraft, OptOutDraft

    with open_app(load(home)) as app:
        by: dict[str, Any] = {"now": clock(), "sign_checkpoint": app.signer}

        def meanwhile(step: str, event: str, _value: float) -> None:
            if (step, event) == ("sign", "end"):
                name = NameDraft(text="Zorblax")
                draft = OptOutDraft(kind="character", name="Zorblax", owner="S", names=(name,), mode="ask")
                optouts.add(app.engine, draft, **by)

        order = CreateOrder(
            prompt="Zorblax waves", policy="opt-out", generator="scene", seconds=1, seed=1, width=256,
            height=256,
        )  # fmt: skip
        held = app.create(order, meanwhile)
        assert held.release is None
        [asked] = permissions.list_permissions(app.engine, state="asked")
        assert asked.job_id == held.job.id
        permissions.approve(app.engine, asked.id, permissions.Approval(), **by)
        steps: list[str] = []
        [resumed] = app.resume(lambda step, event, _value: steps.append(step) if event == "begin" else None)
        assert resumed.outcome is not None
        released = resumed.outcome.release
        assert released is not None
        assert steps == ["gate/1", "decide/1", "sign/1", "reread/1", "store/1", "publish", "place/1"]
        assert released.facts["permissions"] == [asked.id]
        assert released.checked_seq >= asked.log_seq


def test_a_job_whose_hold_was_lifted_dies_anywhere_and_is_gone_on_with(run: Command, home: Path) -> None:
    """At each of the steps that are done again the work ends at once; what is recorded is not repeated."""
    register(run, "Zorblax", "--mode", "ask")
    create(run, "Zorblax waves")
    [asked] = run("permission", "list").document
    begun: list[str] = []

    class Died(Exception):
        """As a defect of ours would be."""

    def dies_at(wanted: str) -> Callable[[str, str, float], None]:
        def observe(step: str, event: str, _value: float) -> None:
            if event == "begin":
                begun.append(step)
                if step == wanted:
                    raise Died

        return observe

    with open_app(load(home)) as app:
        by: dict[str, Any] = {"now": clock(), "sign_checkpoint": app.signer}
        permissions.approve(app.engine, asked["id"], permissions.Approval(), **by)
        again = ["gate/1", "generate", "decide/1", "mark/1", "sign/1", "store/1", "publish", "place/1"]
        for step in again:
            with pytest.raises(Died):
                list(app.resume(dies_at(step)))
        [resumed] = app.resume(dies_at("nowhere"))
        assert resumed.outcome is not None
        assert resumed.outcome.release is not None
        assert [begun.count(step) for step in again if step != "publish"] == [2] * (len(again) - 1)
        assert len(releases.list_releases(app.engine)) == 1


def test_a_consent_is_revoked_and_clips_are_withdrawn(run: Command) -> None:
    person = register(run, "Vexia Quandl", "--kind", "person")
    prompt = "Vexia Quandl reads a book"
    assert create(run, prompt).status == 1
    consent = run("consent", "grant", person, "--account", "local").document["consent"]
    first, second = (create(run, prompt, seed=seed).document["release"]["id"] for seed in (1, 2))
    clips = run("consent", "clips", person).document
    assert [one["release"] for one in clips] == [second, first]
    assert run("consent", "clips", person, "--account", "other").document == []
    gone = run("consent", "withdraw-clips", person, "--account", "local", "--why", "mine").document
    assert {one["release"] for one in gone} == {first, second}
    third = create(run, prompt, seed=3).document["release"]["id"]
    revoked = run("consent", "revoke", consent).document
    assert [one["release"] for one in revoked["retroscan"]["recalled"]] == [third]
    assert create(run, prompt, seed=4).status == 1
    assert run("consent", "list", person).document == []
    states = {one["state"] for one in run("consent", "clips", person).document}
    assert states == {"withdrawn"}
    character = register(run, "Zorblax")
    assert run("consent", "list", character).status == 2


def test_a_consent_that_is_revoked_meanwhile_keeps_the_clip_in(home: Path, run: Command) -> None:
    person = register(run, "Vexia Quandl", "--kind", "person")
    consent = run("consent", "grant", person, "--account", "local").document["consent"]

    def meanwhile(step: str, event: str, _value: float) -> None:
        if (step, event) == ("sign", "end"):
            assert run("consent", "revoke", consent).status == 0

    with open_app(load(home)) as app:
        order = CreateOrder(
            prompt="Vexia Quandl reads", policy="opt-out", generator="scene", seconds=1, seed=1, width=256,
            height=256,
        )  # fmt: skip
        outcome = app.create(order, meanwhile)
    assert (outcome.release, [reason["code"] for reason in outcome.held]) == (None, ["name_match"])
