"""A release signed by a key in a hardware module: it waits while the module is away, then reads as ours."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.tools.local_softhsm import PIN, SOFTHSM, LocalModule
from pipeline.app import open_app
from pipeline.credentials import certs, ocsp
from pipeline.credentials.choice import REGISTER
from pipeline.credentials.pki import ensure_pki, fingerprint, load_pair, revoke_signer
from pipeline.credentials.profile import read_chain
from pipeline.credentials.signers import register
from pipeline.errors import SigningFailed
from pipeline.home import Home
from pipeline.orders import CreateOrder
from pipeline.settings import Settings, load
from pipeline.starting import open_signing
from pipeline.verify.opening import open_local
from registry.types import JobState


@pytest.fixture
def module(tmp_path: Path) -> Iterator[LocalModule]:
    if not SOFTHSM.exists():
        pytest.skip("SoftHSM is not installed here; install the package softhsm2")
    with LocalModule(tmp_path / "hsm") as made:
        yield made


def silent(_step: str, _event: str, _value: float) -> None:
    """An observer."""


def with_module(home: Path, module: LocalModule) -> Settings:
    """Settings of a home whose key in the module is certified, and not registered yet."""
    folder = ensure_pki(Home(home).pki, now=datetime.now(UTC)).folder
    root, subject = load_pair(folder / "claim_root.pem"), certs.name_of("signer 2026", "Studio")
    key = module.public["es256"]
    leaf = certs.claim_certificate(root, subject, key, datetime.now(UTC), timedelta(days=90))
    (home / "signer.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    changed = {"signer": module.uri("es256"), "signer_chain": home / "signer.pem", "signer_pin": PIN}
    return Settings(home=home, **changed)


def test_a_release_waits_for_its_key_and_is_never_unsigned(tmp_path: Path, module: LocalModule) -> None:
    home = Home(load(tmp_path / "home").home)
    home.make()
    settings = with_module(home.root, module)
    with pytest.raises(SigningFailed, match=REGISTER):
        open_signing(settings)
    chain = read_chain((home.root / "signer.pem").read_text())
    register(home.pki, chain, None)
    open_signing(settings)
    order = CreateOrder(
        prompt="a landscape", policy="marks-only", generator="scene", seconds=2, seed=1, width=480,
        height=272, account="a",
    )  # fmt: skip
    with open_app(settings) as app:
        with module.pulled_out(), pytest.raises(SigningFailed, match="key es256 of token claims"):
            app.create(order, silent)
        assert list((home.files / "released").iterdir()) == []
        [done] = app.resume(silent)
    assert done.outcome is not None
    assert done.outcome.job.state is JobState.RELEASED
    assert done.outcome.release is not None
    assert done.outcome.release.signer_sha256 == fingerprint(chain[0])
    assert done.outcome.file is not None
    asking(settings, done.outcome.file)
    revoke_signer(home.pki, fingerprint(chain[0]), at=None)
    with pytest.raises(SigningFailed, match="was revoked"):
        open_signing(settings)


def asking(settings: Settings, file: Path) -> None:
    """With `ocsp` required: intact where the responder says good, inconclusive where it is away."""
    authority = ocsp.of_development(Home(settings.home).pki)
    with ocsp.Server(("127.0.0.1", 0), authority, lambda: datetime.now(UTC)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        demanding = settings.model_copy(update={"ocsp": "require", "ocsp_responders": address})
        with open_local(demanding) as opened:
            asks = replace(
                opened, keys=(), issued=None
            )  # the hidden mark takes its time, and says nothing here
            report = asks.verify(file)
            assert report.verdict == "intact"
            assert report.evidence["credential"].found["revocation"] == "good"
            server.shutdown()
            server.server_close()
            thread.join()
            report = asks.verify(file)
    assert report.verdict == "inconclusive"
    assert report.evidence["credential"].state == "not_checked"
