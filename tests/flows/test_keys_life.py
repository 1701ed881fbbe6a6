"""Sealed homes, keys that change while clips are made, and a time-stamp service that is down."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from openssl_tsa import make_tsa
from secret_forms import exposed, forms
from sqlalchemy import select

from pipeline.app import open_app
from pipeline.credentials import pki
from pipeline.credentials.safe import Secret, safe_of
from pipeline.errors import KeysUnusable, SigningFailed
from pipeline.home import Home
from pipeline.keyring import rotate_detection, rotate_minting
from pipeline.orders import CreateOrder
from pipeline.settings import load
from pipeline.verify.opening import open_local
from pipeline.workbench import Observer
from registry.counter import last_payload_counter
from registry.db import read
from registry.tables import job
from registry.types import JobState

Command = Callable[..., Any]


def silent(_step: str, _event: str, _value: float) -> None:
    """An observer."""


def interrupt() -> None:
    raise KeyboardInterrupt


def at_the_end_of(**works: Callable[[], Any]) -> Observer:
    """An observer that does something between two steps; ``mark_1`` is the step mark/1."""

    def observe(name: str, event: str, _value: float) -> None:
        if event == "end" and (work := works.get(name.replace("/", "_"))):
            work()

    return observe


def test_a_clip_whose_signer_is_revoked_and_whose_keys_are_replaced_on_the_way_is_released(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path / "home")
    folder = Home(settings.home).pki
    order = CreateOrder(
        prompt="a landscape", policy="marks-only", generator="scene", seconds=2, seed=1, width=480,
        height=272, account="a",
    )  # fmt: skip
    revoked: list[str] = []

    def revoke() -> None:
        revoked.append(pki.fingerprint(pki.load_pki(folder).claim.certificate))
        pki.revoke_signer(folder, revoked[-1], at=None)

    with open_app(settings) as app:

        def rotate() -> None:
            rotate_detection(safe_of(settings))
            rotate_minting(safe_of(settings), last=last_payload_counter(app.engine))

        marks, away = safe_of(settings).folder / Secret.MARKS, tmp_path / "away"
        with pytest.raises(KeysUnusable):  # no payload is issued, and the job waits
            app.create(order, at_the_end_of(generate=lambda: marks.rename(away)))
        away.rename(marks)
        with read(app.engine) as conn:
            assert conn.execute(select(job.c.state)).scalars().all() == [JobState.OPEN]
        # The second revocation falls between the last look at the signer and the fence.
        observe = at_the_end_of(mark_1=rotate, sign=revoke, store_r2=revoke)
        with pytest.raises(SigningFailed, match="revoked before the clip left"):
            app.create(order, observe)
        with pytest.raises(KeyboardInterrupt):  # it has left, and the file is not in its place
            list(app.resume(at_the_end_of(publish=interrupt)))
        [resumed] = app.resume(silent)
        outcome = resumed.outcome
        assert outcome is not None
        assert outcome.release is not None
        assert outcome.file is not None
        assert set(outcome.stages) == {"publish", "place"}
        assert len(revoked) == 2
        assert outcome.release.signer_sha256 not in revoked
    held = (settings.home / "files" / "held").rglob("*")
    assert not any(path.is_file() for path in held)
    with open_local(settings) as verifier:
        report = verifier.verify(outcome.file)
    assert (report.verdict, report.flags) == ("intact", ())
    assert report.evidence["hidden_mark"].state == "found"
    assert report.evidence["hidden_mark"].found["key_epoch"] == 1


def test_a_sealed_home_waits_for_its_time_stamps_and_shows_no_secret(
    run: Command, home: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tsa = make_tsa(tmp_path, hashes.SHA384())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    home.mkdir(mode=0o700)
    toml = f'tsa_url = "http://127.0.0.1:{port}/tsr"\ntsa_roots = "{tsa.root}"\n'
    (home / "settings.toml").write_text(toml)
    monkeypatch.setenv("COUNTERMARK_KEYS_PASSPHRASE", "correct horse battery")
    down = run("guard", clip, "--policy", "marks-only")
    assert (down.status, down.document["error"]["code"]) == (3, "signing_failed")
    assert "no good time-stamp" in down.words
    assert not any(path.is_file() for path in (home / "files" / "released").rglob("*"))
    with tsa.serving(port), open_app(load(home)) as app:
        [resumed] = app.resume(silent)
    assert resumed.outcome is not None
    assert set(resumed.outcome.stages) == {"sign", "reread", "store", "publish", "place"}
    file = resumed.outcome.file
    assert file is not None

    assert run("keys", "list").document["sealed"] is True
    [report] = run("verify", file).document
    assert report["verdict"] == "intact"
    bundle = tmp_path / "bundle.json"
    assert run("keys", "export-verifier", "-o", bundle).status == 0
    [elsewhere] = run("verify", file, "--trust", bundle, "--home", tmp_path / "elsewhere").document
    assert elsewhere["verdict"] == "intact"

    safe = safe_of(load(home))
    contents = {str(secret): safe.read(safe.folder / secret, secret) for secret in safe.present()}
    assert {Secret.MARKS, Secret.SIGHTS, Secret.CLAIM_LEAF} <= set(contents)
    assert exposed(home, forms(contents)) == []
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE")
    refused = run("verify", file)
    assert (refused.status, refused.document["error"]["code"]) == (3, "keys_unusable")
    assert "no pass phrase is set" in refused.words
