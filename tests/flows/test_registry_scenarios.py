"""What parties do, through the command line from end to end: each story on both databases, on one of its own.

Asking for permission, and consents, are told in test_rules_and_permissions.py.
"""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import main
from pipeline.clock import rfc3339

SHAPE = ("--generator", "scene", "--seconds", "1", "--size", "256x256", "--seed", "1")
STATED = ("--statement", "authority", "--statement", "good_faith")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.soak)])
def home_arguments(
    home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, ...]]:
    """Home, and so database, of every command; PostgreSQL with the long tests (rules have it always)."""
    arguments = ("--home", str(home))
    if request.param == "sqlite":
        yield arguments
        return
    with request.getfixturevalue("postgres").make() as url:
        monkeypatch.setenv("COUNTERMARK_DATABASE_URL", url)
        yield arguments


class Countermark:
    """The command line in this process; each call gives the JSON that it printed."""

    def __init__(self, home: tuple[str, ...], patch: pytest.MonkeyPatch, capfd: Any) -> None:
        self._home, self._patch, self._capfd = home, patch, capfd
        self.words = ""

    def run(self, *arguments: str | Path) -> tuple[int, Any]:
        told = list(map(str, arguments))
        place = 1 if told[0] in ("gate", "create") else 2
        command = ["countermark", *told[:place], "--json", *self._home, *told[place:]]
        self._patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stopped:
            main()
        out, self.words = self._capfd.readouterr()
        assert "Traceback" not in self.words
        assert isinstance(stopped.value.code, int)
        documents = [json.loads(line) for line in out.splitlines()]
        return stopped.value.code, documents[0] if len(documents) == 1 else documents or None

    def __call__(self, *arguments: str | Path) -> Any:
        """A command that has to succeed."""
        status, document = self.run(*arguments)
        assert status == 0, self.words
        return document

    def error(self, *arguments: str | Path) -> str:
        """The code of the error that a command ends with."""
        status, document = self.run(*arguments)
        assert status != 0
        return str(document["error"]["code"])

    def verdict(self, prompt: str) -> str:
        return str(self.run("gate", prompt)[1]["verdict"])

    def clip(self, prompt: str) -> str:
        """The id of a released clip of the command line's own account."""
        return str(self("create", prompt, *SHAPE)["release"]["id"])

    def state(self, release: str) -> str:
        """Of a release."""
        return str(self("release", "show", release)["state"])


@pytest.fixture
def countermark(
    home_arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Countermark:
    return Countermark(home_arguments, monkeypatch, capfd)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Make it so many days later."""

    def move(days: float) -> None:
        now = rfc3339(datetime.now(UTC) + timedelta(days=days))
        monkeypatch.setattr("pipeline.app.clock", lambda: now)
        monkeypatch.setattr("pipeline.clock.clock", lambda: now)

    return move


def test_an_association_with_36_members(countermark: Countermark, tmp_path: Path) -> None:
    countermark("party", "add", "Animation Alliance", "--kind", "association", "--level", "trusted")
    granted = []
    for number in range(36):
        countermark("party", "add", f"Member Studio {number}")
        given = countermark("delegation", "grant", f"Member Studio {number}", "Animation Alliance")
        granted.append(given["id"])
    lines = [
        {"name": f"Quandlethorp {number}", "owner": f"Member Studio {number}", "work": f"Film {number}"}
        for number in range(36)
    ]
    file = tmp_path / "members.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    by = ("--by", "Animation Alliance", *STATED)
    receipts = countermark("optout", "add", "--from", file, *by)
    assert [(made["standing"], made["new"]) for made in receipts] == [("active", True)] * 36
    listed = countermark("optout", "list")
    assert {(one["owner"], one["name"]) for one in listed} == {
        (f"Member Studio {n}", f"Quandlethorp {n}") for n in range(36)
    }
    [filed] = countermark("claim", "list", "--party", "Member Studio 7")
    assert (filed["path"], filed["state"]) == ([granted[7]], "active")
    assert countermark.verdict("Quandlethorp 7 dances") == "block"

    everything = ("optout", "add", "Everything of Member Studio 7", "--kind", "portfolio")
    countermark(*everything, "--owner", "Member Studio 7", *by)
    countermark("delegation", "revoke", granted[7], "--by", "Member Studio 7")
    assert countermark.error("optout", "add", "Vexmoor", "--owner", "Member Studio 7", *by) == "act_refused"
    assert countermark.error("optout", "withdraw", made_by(listed, 7), *by[:2]) == "act_refused"
    assert countermark.verdict("Quandlethorp 7 dances") == "block"  # what was said stays said
    own = ("--by", "Member Studio 7", "--mode", "allow", *STATED)
    later_one = countermark("optout", "add", "Vexmoor", *own)
    shown = countermark("optout", "show", later_one["id"])
    assert (shown["owner"], shown["mode"], len(shown["portfolios"])) == ("Member Studio 7", "block", 1)
    assert shown["standing"] == "provisional"
    lines[3]["owner"] = "Nobody Known"
    file.write_text("\n".join(map(json.dumps, lines)))
    assert countermark.error("optout", "add", "--from", file, *by) == "not_found"


def made_by(listed: list[dict[str, Any]], number: int) -> str:
    return next(str(one["id"]) for one in listed if one["owner"] == f"Member Studio {number}")


def test_an_estate(countermark: Countermark) -> None:
    told = ("--kind", "estate", "--estate-of", "Quimberley Vantrossen", "--died-on", "1987-03-04")
    estate = countermark("party", "add", "Estate of Vantrossen", *told)
    assert estate["estate"] == {"of": "Quimberley Vantrossen", "died_on": "1987-03-04"}
    countermark("party", "add", "A Stranger", "--level", "trusted")
    countermark("party", "add", "The Heir", "--kind", "person")
    person = ("optout", "add", "Quimberley Vantrossen", "--kind", "person")
    signed = (*STATED, "--signature", "V. Heir")
    dead = ("--died-on", "1987-03-04")
    assert countermark.error(*person, *dead, "--by", "A Stranger", *signed) == "act_refused"
    owner = ("--owner", "Estate of Vantrossen")
    assert countermark.error(*person, *owner, "--by", "The Heir", *signed) == "act_refused"
    assert countermark.error(*person, *owner, "--by", "Estate of Vantrossen", *STATED) == "claim_invalid"
    assert "signature" in countermark.words
    assert countermark("optout", "list") == []
    countermark("delegation", "grant", "Estate of Vantrossen", "The Heir", "--kind", "person")
    made = countermark(*person, *owner, "--by", "The Heir", *signed)
    assert (made["standing"], made["due_at"] is None) == ("provisional", False)
    shown = countermark("optout", "show", made["id"])
    assert (shown["died_on"], shown["owner"]) == ("1987-03-04", "Estate of Vantrossen")
    claim = countermark("claim", "show", made["claim"])
    assert (claim["kind"], claim["signature"], claim["party"]) == ("likeness", "V. Heir", estate["id"])
    assert countermark.verdict("Quimberley Vantrossen waves") == "block"
    countermark("party", "verify", "Estate of Vantrossen", "--why", "certificate of inheritance")
    assert countermark("claim", "show", made["claim"])["state"] == "active"
    character = ("optout", "add", "Brimwick", *owner, "--by", "The Heir", *STATED)
    assert countermark.error(*character) == "act_refused"  # the heir may speak for the person only


def test_a_fake_claim_is_disputed(
    countermark: Countermark, later: Callable[[float], None], tmp_path: Path
) -> None:
    countermark("party", "add", "Fake Holder")
    countermark("party", "add", "True Studio", "--level", "document")
    by = ("--by", "Fake Holder", *STATED)
    made = [countermark("optout", "add", name, *by) for name in INVENTED]
    assert [one["standing"] for one in made] == ["provisional"] * 10 + ["draft"] * 2
    assert "cap is reached" in countermark.words
    assert countermark.verdict(f"{INVENTED[0]} sings") == "block"
    assert countermark.verdict(f"{INVENTED[11]} sings") == "allow"  # the service is not shut
    likeness = ("--kind", "person", "--signature", "J. Doe")
    assert countermark("optout", "add", "Janterly Doquane", *likeness, *by)["standing"] == "provisional"

    dispute = ("claim", "dispute", made[0]["id"], "--by", "True Studio", "--why", "it is ours")
    disputed = countermark(*dispute)
    assert (disputed["id"], disputed["state"]) == (made[0]["claim"], "disputed")
    assert countermark("optout", "show", made[0]["id"])["standing"] == "disputed"
    contract = tmp_path / "contract.pdf"
    contract.write_bytes(b"%PDF a contract")
    [kept] = countermark("claim", "evidence", disputed["id"], "--add", contract, "--note", "our contract")
    copy = tmp_path / "copy.pdf"
    countermark("claim", "evidence", disputed["id"], "--read", kept["id"], "--to", copy, "--why", "to decide")
    assert (copy.read_bytes(), copy.stat().st_mode & 0o777) == (contract.read_bytes(), 0o600)
    rejected = countermark("claim", "decide", disputed["id"], "--reject", "--why", "the contract is clear")
    assert rejected["state"] == "rejected"
    assert countermark("optout", "show", made[0]["id"])["state"] == "withdrawn"
    assert countermark.verdict(f"{INVENTED[0]} sings") == "allow"
    assert countermark.error("claim", "decide", disputed["id"], "--accept") == "claim_invalid"

    later(15)
    ended = countermark("claim", "expire")["ended"]
    assert set(ended) == {one["claim"] for one in made[1:]} | {
        one["id"] for one in countermark("claim", "list") if one["kind"] == "likeness"
    }
    assert countermark.verdict(f"{INVENTED[1]} sings") == "allow"
    later(200)
    assert countermark("claim", "expire") == {"ended": [], "purged": [kept["id"]]}
    [gone] = countermark("claim", "evidence", disputed["id"])
    assert gone["purged_at"] is not None


INVENTED = (
    "Zelphintor", "Karvoltine", "Mubriskel", "Yondragal", "Trephisso", "Wexlarune", "Fobbinstar", "Quorzandy",
    "Ghimlaback", "Ulvestrop", "Drisnackle", "Jopperwin",
)  # fmt: skip


def test_an_agency_is_revoked(countermark: Countermark) -> None:
    countermark("party", "add", "Tamsin Oakhollow", "--kind", "person", "--level", "document")
    countermark("party", "add", "Talent Agency", "--kind", "agency", "--level", "trusted")
    countermark("party", "add", "Sub Agency", "--kind", "agency")
    countermark("party", "add", "Third Agency", "--kind", "agency")
    first = countermark("delegation", "grant", "Tamsin Oakhollow", "Talent Agency", "--may-subdelegate")
    second = countermark("delegation", "grant", "Talent Agency", "Sub Agency", "--act", "register")
    countermark("delegation", "grant", "Sub Agency", "Third Agency")
    person = ("optout", "add", "Tamsin Oakhollow", "--kind", "person", "--owner", "Tamsin Oakhollow")
    signed = (*STATED, "--signature", "T. A.")
    made = countermark(*person, "--by", "Sub Agency", *signed)
    assert countermark("claim", "show", made["claim"])["path"] == [first["id"], second["id"]]
    assert countermark.error(*person, "--alias", "Tam O.", "--by", "Third Agency", *signed) == "act_refused"
    assert countermark.error("optout", "withdraw", made["id"], "--by", "Sub Agency") == "act_refused"
    assert countermark.error("delegation", "revoke", first["id"], "--by", "Sub Agency") == "act_refused"
    countermark("delegation", "revoke", first["id"], "--by", "Tamsin Oakhollow")
    for agency in ("Talent Agency", "Sub Agency"):
        more = (*person, "--alias", "Tamsy Oakhollow", "--by", agency, *signed)
        assert countermark.error(*more) == "act_refused"
        assert countermark.error("optout", "withdraw", made["id"], "--by", agency) == "act_refused"
    shown = countermark("optout", "show", made["id"])
    assert (shown["state"], shown["standing"], len(shown["names"])) == ("active", "active", 1)
    assert countermark.verdict("Tamsin Oakhollow waves") == "block"
    [listed] = countermark("delegation", "list", "--party", "Tamsin Oakhollow")
    assert (listed["id"], listed["revoked"]) == (first["id"], True)
    assert countermark("optout", "withdraw", made["id"], "--by", "Tamsin Oakhollow")["new"]


def test_an_opt_out_is_withdrawn(countermark: Countermark) -> None:
    countermark("party", "add", "Kestrel Press", "--level", "domain")
    countermark("party", "add", "Rival Press", "--level", "domain")
    assert countermark.error("optout", "add", "Pellworm", "--by", "Kestrel Press") == "claim_invalid"
    assert "authority" in countermark.words
    made = countermark("optout", "add", "Pellworm", "--by", "Kestrel Press", *STATED)
    assert countermark.verdict("Pellworm sings") == "block"
    gone = ("optout", "withdraw", made["id"])
    assert countermark.error(*gone, "--by", "Rival Press") == "act_refused"
    assert countermark.verdict("Pellworm sings") == "block"
    assert countermark(*gone, "--by", "Kestrel Press", "--why", "sold")["new"]
    assert countermark.verdict("Pellworm sings") == "allow"
    assert countermark("claim", "show", made["claim"])["state"] == "withdrawn"
    filed = countermark("claim", "list", "--party", "Kestrel Press")
    assert sorted((one["kind"], one["state"]) for one in filed) == [
        ("opt_out", "withdrawn"), ("withdraw", "active"),
    ]  # fmt: skip
    assert countermark(*gone, "--by", "Kestrel Press")["new"] is False
    again = countermark("optout", "add", "Pellworm", "--by", "Kestrel Press", *STATED)
    assert (again["id"], again["claim"] != made["claim"]) == (made["id"], True)
    assert countermark.verdict("Pellworm sings") == "block"


def test_a_licence_for_one_account(countermark: Countermark) -> None:
    countermark("party", "add", "Kestrel Press", "--level", "domain")
    countermark("party", "add", "Rights Desk", "--kind", "agency")
    countermark("party", "add", "Rival Press", "--level", "domain")
    given = countermark("delegation", "grant", "Kestrel Press", "Rights Desk", "--act", "rules")
    made = countermark("optout", "add", "Pellworm", "--by", "Kestrel Press", *STATED)["id"]
    grant = ("licence", "grant", made, "--account")
    assert countermark.error(*grant, "local", "--by", "Rival Press") == "act_refused"
    assert countermark("licence", "list", made) == []
    other = countermark(*grant, "friend", "--by", "Kestrel Press")["licence"]
    assert countermark.verdict("Pellworm sings") == "block"
    licence = countermark(*grant, "local", "--by", "Rights Desk")["licence"]
    assert countermark.verdict("Pellworm sings") == "allow"
    clip = countermark.clip("Pellworm sings")
    assert countermark.error("licence", "revoke", licence, "--by", "Rival Press") == "act_refused"
    countermark("delegation", "revoke", given["id"], "--by", "Kestrel Press")
    assert countermark.error("licence", "revoke", licence, "--by", "Rights Desk") == "act_refused"
    assert countermark.state(clip) == "released"
    ended = countermark("licence", "revoke", licence, "--by", "Kestrel Press")
    assert [one["release"] for one in ended["retroscan"]["recalled"]] == [clip]
    assert (countermark.verdict("Pellworm sings"), countermark.state(clip)) == ("block", "withdrawn")
    assert [one["licence"] for one in countermark("licence", "list", made)] == [other]


def test_whoever_acts_for_a_holder_was_let_to(countermark: Countermark) -> None:
    countermark("party", "add", "Kestrel Press", "--level", "domain")
    countermark("party", "add", "Rights Desk", "--kind", "agency", "--level", "trusted")
    made = countermark("optout", "add", "Pellworm", "--mode", "ask", "--by", "Kestrel Press", *STATED)["id"]
    signed = ("--kind", "person", "--signature", "K. P.", *STATED)
    person = countermark("optout", "add", "Janterly Doquane", "--by", "Kestrel Press", *signed)["id"]
    assert countermark.run("create", "Pellworm sings", *SHAPE)[0] == 1
    [asked] = countermark("permission", "list")
    acts = [
        ("register", ("optout", "extend", made, "--alias", "Pellwurm")),
        ("rules", ("rule", "add", made, "block", "--region", "EU")),
        ("rules", ("consent", "grant", person, "--account", "local")),
        ("answer", ("permission", "refuse", asked["id"])),
    ]
    for act, words in acts:
        assert countermark.error(*words, "--by", "Rights Desk") == "act_refused"
        given = countermark("delegation", "grant", "Kestrel Press", "Rights Desk", "--act", act)["id"]
        countermark(*words, "--by", "Rights Desk")
        countermark("delegation", "revoke", given)
    [rule] = [one for one in countermark("rule", "list", made) if not one["licence"]]
    [consent] = countermark("consent", "list", person)
    for words in (("rule", "remove", rule["rule"]), ("consent", "revoke", consent["consent"])):
        assert countermark.error(*words, "--by", "Rights Desk") == "act_refused"
        countermark(*words, "--by", "Kestrel Press")
    assert countermark("permission", "list")[0]["state"] == "refused"


def test_a_mistaken_opt_out_gives_the_clips_back(countermark: Countermark) -> None:
    prompt = "Pellworm meets Quandle Vexmoor"
    clip = countermark.clip(prompt)
    first = countermark("optout", "add", "Pellworm")["id"]
    assert countermark.state(clip) == "withdrawn"
    second = countermark("optout", "add", "Quandle Vexmoor")["id"]  # finds nothing that is still out
    assert countermark("optout", "withdraw", first)["served_again"] == []
    shown = countermark("release", "show", clip)
    assert (shown["state"], [one["about"] for one in shown["stops"]]) == ("withdrawn", [second])
    assert countermark("optout", "withdraw", second)["served_again"] == [clip]
    assert countermark.state(clip) == "released"
    owner = ("--owner", "Kestrel Press")
    whole = countermark("optout", "add", "All of Kestrel Press", "--kind", "portfolio", *owner)["id"]
    countermark("optout", "add", "Pellworm", *owner, "--mode", "allow")
    assert countermark.state(clip) == "withdrawn"
    assert countermark("optout", "withdraw", whole)["served_again"] == [clip]
    third = countermark("optout", "add", "Pellworm")["id"]
    gone = ("optout", "withdraw", third, "--keep-withdrawn")
    assert (countermark(*gone)["served_again"], countermark.state(clip)) == ([], "withdrawn")
    assert countermark("release", "reinstate", clip)["state"] == "released"


def test_a_takedown_stops_a_clip_until_it_is_rejected(countermark: Countermark) -> None:
    clip = countermark.clip("Pellworm sings")
    countermark("party", "add", "Kestrel Press")
    notice = ("claim", "file", clip, "--kind", "takedown48", "--by", "Kestrel Press", *NOTICE)
    filed = countermark(*notice)
    assert (filed["state"], countermark.state(clip)) == ("provisional", "withdrawn")
    assert countermark.error("release", "reinstate", clip) == "still_forbidden"
    countermark("claim", "decide", filed["id"], "--reject", "--why", "it is somebody else")
    assert countermark.state(clip) == "released"
    again = countermark(*notice)
    wish = countermark("optout", "add", "Pellworm")["id"]
    countermark("claim", "decide", again["id"], "--reject")
    shown = countermark("release", "show", clip)
    assert (shown["state"], [one["cause"] for one in shown["stops"]]) == ("withdrawn", ["wish"])
    countermark("optout", "withdraw", wish)
    assert countermark.state(clip) == "released"
    third = countermark(*notice)
    countermark("claim", "decide", third["id"], "--accept")
    assert countermark.state(clip) == "withdrawn"
    countermark("claim", "withdraw", third["id"], "--by", "Kestrel Press")
    assert countermark.state(clip) == "released"


NOTICE = (
    "--signature", "A. Kestrel", "--statement", "location=here", "--statement", "contact=a@b.example",
    "--statement", "good_faith",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("party", "add", "X", "--kind", "ghost"), "party_invalid"),
        (("party", "add", "X", "--level", "high"), "party_invalid"),
        (("party", "add", "X", "--kind", "estate"), "party_invalid"),
        (("party", "add", "X", "--estate-of", "Y"), "usage"),
        (("party", "add", "X", "--estate-of", "Y", "--died-on", "2020-01-31"), "party_invalid"),
        (("party", "add", "X", "--kind", "estate", "--estate-of", "Y", "--died-on", "soon"), "entry_invalid"),
        (("party", "show", "nobody"), "not_found"),
        (("party", "verify", "nobody"), "not_found"),
        (("delegation", "grant", "A", "B"), "not_found"),
        (("delegation", "revoke", "x"), "not_found"),
        (("claim", "show", "x"), "not_found"),
        (("claim", "decide", "x", "--accept"), "not_found"),
        (("claim", "dispute", "x"), "not_found"),
        (("claim", "evidence", "x"), "not_found"),
        (("claim", "evidence", "x", "--read", "y"), "usage"),
        (("claim", "file", "x", "--kind", "dsa16", "--by", "nobody"), "not_found"),
        (("optout", "add", "X", "--by", "nobody", *STATED), "not_found"),
        (("optout", "add", "X", *STATED), "usage"),
        (("optout", "add", "X", "--kind", "person", "--died-on", "2020-1-1"), "usage"),
        (("optout", "add", "Jan Quimby", "--kind", "person", "--died-on", "2020-01-31"), "act_refused"),
    ],
)
def test_what_is_wrong_is_said(countermark: Countermark, arguments: tuple[str, ...], code: str) -> None:
    assert countermark.error(*arguments) == code
    assert countermark("optout", "list") == []
