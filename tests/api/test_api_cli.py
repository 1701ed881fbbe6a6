"""`countermark apikeys`: a secret is shown once, lists show none, a revoked key stays revoked."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import auth
from pipeline.app import open_app
from pipeline.cli.main import main
from pipeline.clock import clock
from pipeline.settings import Settings
from registry import suspensions
from registry.errors import KeyRefused

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture(name="run")
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command on a home; its exit code, its JSON, its words."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        told = ["countermark", *arguments, "--json", "--home", str(tmp_path / "home")]
        monkeypatch.setattr(sys, "argv", told)
        with pytest.raises(SystemExit) as ended:
            main()
        out, words = capsys.readouterr()
        return int(str(ended.value.code)), json.loads(out) if out else None, words

    return run


def test_a_keys_life(run: Command, tmp_path: Path) -> None:
    made = (
        "apikeys",
        "create",
        "--account",
        "studio",
        "--scope",
        "optout",
        "--scope",
        "create",
        "--days",
        "7",
    )
    status, key, words = run(*made)
    assert status == 0
    assert key["secret"] not in words
    assert (key["account"], sorted(key["scopes"])) == ("studio", ["create", "optout"])
    status, listed, words = run("apikeys", "list")
    assert [one["id"] for one in listed] == [key["id"]]
    assert key["secret"].split("_", 2)[2] not in json.dumps(listed) + words
    assert run("apikeys", "list", "--account", "nobody")[1] == []
    with open_app(Settings(home=tmp_path / "home")) as app:
        header = [f"Bearer {key['secret']}"]
        assert auth.admit(app.engine, header, [auth.OPTOUT], clock()).account == "studio"
        status, gone, _ = run("apikeys", "revoke", key["id"], "--why", "leaked")
        assert (status, bool(gone["revoked_at"])) == (0, True)
        assert run("apikeys", "revoke", key["id"])[1] == gone
        with pytest.raises(KeyRefused):
            auth.admit(app.engine, header, [auth.OPTOUT], clock())


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("create", "--account", "studio", "--scope", "everything"), 2, "opt_out_invalid"),
        (("create", "--account", "", "--scope", "create"), 2, "opt_out_invalid"),
        (("revoke", "nonsense"), 3, "not_found"),
    ],
)
def test_wrong_orders(run: Command, arguments: tuple[str, ...], status: int, code: str) -> None:
    found = run("apikeys", *arguments)
    assert (found[0], found[1]["error"]["code"]) == (status, code)


@pytest.mark.parametrize("name", ["speech_model", "enhancer"])
def test_a_model_that_is_not_there_stops_the_start(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"COUNTERMARK_{name.upper()}", str(tmp_path / "nothing here"))
    monkeypatch.setattr(sys, "argv", ["countermark", "serve", "--port", "0", "--home", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 3
    assert "there is no" in capsys.readouterr().err


def test_a_suspended_key_is_let_in_again_and_has_a_statement(run: Command, tmp_path: Path) -> None:
    _, key, _ = run("apikeys", "create", "--account", "studio", "--scope", "create")
    status, told, _ = run("apikeys", "resume", key["id"])
    assert (status, told["error"]["code"]) == (3, "not_found")
    with open_app(Settings(home=tmp_path / "home")) as opened:
        suspensions.suspend(opened.engine, key["id"], 40, now=clock(), sign_checkpoint=opened.signer)
    assert "suspended" in run("apikeys", "list")[2]
    status, told, _ = run("statements")
    assert (status, told["decision_account"]) == (0, "DECISION_ACCOUNT_SUSPENDED")
    assert "end_date_account_restriction" not in told
    assert run("apikeys", "resume", key["id"], "--why", "a fleet of ours")[1]["suspended_at"] is None
    assert "end_date_account_restriction" in run("statements")[1]
    assert run("statements", "--until", "2020-01-01T00:00:00Z")[1:] == (None, "0 statements.\n")
    status, told, _ = run("statements", "--since", "yesterday")
    assert (status, told["error"]["code"]) == (2, "usage")
