"""What a verification has at hand: whose keys, and whether the list of what was released here is for them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.credentials.pki import ensure_pki, load_pki
from pipeline.home import Home
from pipeline.keyring import ensure_keyring, export_verifier, load_keyring
from pipeline.settings import Settings, load
from pipeline.verify.opening import open_local
from registry.db import open_database


@pytest.fixture
def ours(tmp_path: Path) -> Settings:
    return service(tmp_path / "ours")


def service(folder: Path) -> Settings:
    """Settings of a home with keys, roots and an empty registry."""
    settings = load(folder)
    home = Home(settings.home)
    folder.mkdir(mode=0o700)
    ensure_keyring(home.keys)
    ensure_pki(home.pki, now=datetime.now(UTC))
    open_database(settings.database).dispose()
    return settings


def bundle(settings: Settings, path: Path) -> Path:
    home = Home(settings.home)
    trust = load_pki(home.pki).trust
    made = export_verifier(load_keyring(home.keys), trust, detect=True, now=datetime.now(UTC), days=2)
    path.write_text(json.dumps(made.to_json()))
    return path


def test_our_own_marks_are_read_by_our_list(ours: Settings, tmp_path: Path) -> None:
    with open_local(ours) as verifier:
        assert verifier.issued is not None
    with open_local(ours, bundle(ours, tmp_path / "own.json")) as verifier:
        assert verifier.issued is not None


def test_a_strangers_marks_are_not(ours: Settings, tmp_path: Path) -> None:
    theirs = bundle(service(tmp_path / "theirs"), tmp_path / "theirs.json")
    with open_local(ours, theirs) as verifier:
        assert verifier.issued is None
        assert verifier.lookup is not None
        assert verifier.keys
