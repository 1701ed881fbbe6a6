"""The same command line with the registry in PostgreSQL: nothing lies in the home, no password is told."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.cli.main import main

SECRET = "s3cret-pass"


@pytest.fixture
def database(postgres: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with postgres.make(empty=True) as url:
        monkeypatch.setenv("COUNTERMARK_HOME", str(home))
        monkeypatch.setenv("COUNTERMARK_DATABASE_URL", f"{url}&password={SECRET}")
        yield url


@pytest.fixture
def command(database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run `countermark`; gives exit code, JSON documents on stdout, stderr."""

    def ran(*words: str | Path) -> tuple[int, list[Any], str]:
        monkeypatch.setattr(sys, "argv", ["countermark", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert SECRET not in out + err
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, [json.loads(line) for line in out.splitlines()], err

    return ran


def test_every_command_works(command: Any, home: Path, clip: Path, tmp_path: Path) -> None:
    status, [made], _ = command("optout", "add", "--json", "Zorblax the Brave", "--owner", "Studio Example")
    assert (status, made["sequence"]) == (0, 1)
    status, [told], _ = command("gate", "--json", "Zorblax the Brave rides a horse")
    assert (status, told["verdict"]) == (1, "block")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8))
    status, _, words = command("check", "--json", pictures)
    assert status in (0, 1), words
    released = tmp_path / "released.mp4"
    status, _, words = command(
        "guard", "--json", clip, "-o", released, "--policy", "marks-only", "--audio", "accept"
    )
    assert status == 0, words
    status, [[report]], _ = command("verify", "--json", released)
    assert (status, report["verdict"], report["evidence"]["log"]["state"]) == (0, "intact", "found")
    status, [key], _ = command("apikeys", "create", "--json", "--account", "studio", "--scope", "verify")
    assert status == 0
    assert command("apikeys", "revoke", "--json", key["id"], "--why", "leaked")[0] == 0
    assert command("retroscan", "--json")[0] == 0
    status, listed, _ = command("optout", "list", "--json")
    assert (status, len(listed)) == (0, 1)
    assert not list(home.glob("registry.db*"))


def test_a_server_that_is_away_is_said_and_nothing_is_judged(
    command: Any, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COUNTERMARK_DATABASE_URL", f"postgresql://u:{SECRET}@/registry?host={tmp_path}")
    for words in (("verify", clip), ("gate", "a boat"), ("optout", "list"), ("check", clip)):
        status, out, err = command(*words)
        assert (status, out) == (3, [])
        assert "cannot be reached" in err or "cannot be read" in err


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@host/registry", f"u:{SECRET}", "registry.db"])
def test_what_is_no_url_of_postgresql_is_refused(
    command: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("COUNTERMARK_DATABASE_URL", url)
    status, _, err = command("optout", "list")
    assert status == 2
    assert "database_url" in err
