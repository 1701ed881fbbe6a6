"""Who signs, in a process that runs on: never a signer that was revoked meanwhile, or that nears its end."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.app import App, open_app
from pipeline.credentials import pki
from pipeline.credentials.read import read_credential
from pipeline.errors import SigningFailed
from pipeline.home import Home
from pipeline.orders import CreateOrder
from pipeline.settings import Settings, load
from pipeline.verify.opening import open_local
from pipeline.workbench import Outcome
from registry.types import JobState


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path / "home")


def silent(_step: str, _event: str, _value: float) -> None:
    """An observer."""


def create(app: App, seed: int) -> Outcome:
    order = CreateOrder(
        prompt="a landscape", policy="marks-only", generator="scene", seconds=2, seed=seed, width=480,
        height=272, account="a",
    )  # fmt: skip
    return app.create(order, silent)


def signer(outcome: Outcome) -> str:
    assert outcome.release is not None
    return outcome.release.signer_sha256


def test_a_signer_that_was_revoked_signs_nothing_more(settings: Settings) -> None:
    folder = Home(settings.home).pki
    with open_app(settings) as app:
        first = create(app, 1)
        pki.revoke_signer(folder, signer(first), at=datetime.now(UTC))
        second = create(app, 2)
        assert signer(second) != signer(first)
    now = pki.load_pki(folder)
    assert pki.fingerprint(now.claim.certificate) == signer(second)
    assert second.file is not None
    assert read_credential(second.file, now.trust, limits=settings.process_limits).intact
    with open_local(settings) as verifier:
        assert verifier.verify(second.file).verdict == "intact"


def test_a_signer_near_its_end_is_replaced_while_the_process_runs(settings: Settings) -> None:
    folder = Home(settings.home).pki
    with open_app(settings) as app:
        shutil.rmtree(folder)
        old = pki.ensure_pki(folder, now=datetime.now(UTC) - timedelta(days=340)).claim.certificate
        made = signer(create(app, 1))
    assert made == pki.fingerprint(pki.load_pki(folder).claim.certificate)
    assert made != pki.fingerprint(old)


def test_signing_keys_that_are_gone_are_not_made_anew(settings: Settings) -> None:
    folder = Home(settings.home).pki
    with open_app(settings) as app:
        create(app, 1)
        folder.rename(folder.with_name("away"))
        with pytest.raises(SigningFailed, match="no signing keys"):
            create(app, 2)
        assert not folder.exists()
        folder.with_name("away").rename(folder)
        [done] = app.resume(silent)
        assert done.outcome is not None
        assert done.outcome.job.state is JobState.RELEASED
