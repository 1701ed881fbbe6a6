"""Where settings come from, which wins, and what is refused."""

import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.settings import load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("COUNTERMARK_")]:
        monkeypatch.delenv(name)


def test_home_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text('crf = 20.0\nlabel = "file"\n')
    monkeypatch.setenv("COUNTERMARK_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("COUNTERMARK_LABEL", "environment")
    monkeypatch.setenv("COUNTERMARK_TSA_URL", "")
    settings = load(tmp_path)
    assert (settings.home, settings.crf, settings.label, settings.tsa_url) == (
        tmp_path, 20.0, "environment", None,
    )  # fmt: skip
    assert load().home == tmp_path / "elsewhere"


def test_the_limits_of_the_child_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERMARK_READER_SECONDS", "10")
    limits = load(tmp_path).process_limits
    assert (limits.wall_seconds, limits.cpu_seconds) == (10.0, 21)


@pytest.mark.parametrize(("name", "value"), [("MAX_BYTE", "5"), ("CRF", "many"), ("CRF", "99")])
def test_wrong_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"COUNTERMARK_{name}", value)
    with pytest.raises(UsageError, match=name.lower()):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"crf = ", b"max_byte = 5", b'home = "/"', b"\xff\xfe", b"a = " + b"[" * 100_000]
)
def test_a_wrong_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(UsageError):
        load(tmp_path)


def test_a_home_of_nobody() -> None:
    with pytest.raises(UsageError, match="--home"):
        load(Path("~nobody-of-that-name/x"))
