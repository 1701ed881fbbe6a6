"""Where settings come from, which wins, and what is refused."""

import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.settings import load
from pipeline.storage import open_store


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


def test_where_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path).files == tmp_path / "files"
    monkeypatch.setenv("COUNTERMARK_FILES_URL", "s3://a-bucket/some/prefix")
    assert load(tmp_path).files == tmp_path / "files"
    monkeypatch.setenv("COUNTERMARK_FILES_URL", f"file://{tmp_path}/else where")
    settings = load(tmp_path)
    assert settings.files == tmp_path / "else where"
    open_store(settings)
    assert (tmp_path / "else where" / "released").is_dir()


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3://Bucket", "s3://key:secret@bucket", "s3://bucket/../x", "s3://bucket//x", "s3://bucket?x",
        "file://host/folder", "file:folder", "/folder", "gs://bucket/x", "memory://x", "https://bucket/x",
    ],
)  # fmt: skip
def test_places_that_nobody_tested_are_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_FILES_URL", url)
    with pytest.raises(UsageError, match="files_url") as refused:
        load(tmp_path)
    assert "secret" not in str(refused.value)


def test_who_signs_and_who_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as alone:
        alone.setenv("COUNTERMARK_OCSP", "require")
        with pytest.raises(UsageError, match="names nobody to ask"):
            load(tmp_path)
    monkeypatch.setenv("COUNTERMARK_OCSP_RESPONDERS", "http://127.0.0.1:2560/, https://ocsp.example")
    assert load(tmp_path).asked_responders is None  # off is the default: nobody is asked
    monkeypatch.setenv("COUNTERMARK_OCSP", "require")
    assert load(tmp_path).asked_responders == ("http://127.0.0.1:2560/", "https://ocsp.example")
    monkeypatch.setenv("COUNTERMARK_SIGNER", "pkcs11:token=t;object=k?module-path=/m")
    monkeypatch.setenv("COUNTERMARK_SIGNER_PIN", "471147")
    settings = load(tmp_path)
    assert "471147" not in repr(settings) + str(settings)
    assert settings.signer_pin is not None
    assert settings.signer_pin.get_secret_value() == "471147"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNER", "file:key.pem"), ("OCSP", "maybe"), ("OCSP_RESPONDERS", "ocsp.example"),
        ("OCSP_RESPONDERS", "http://user:password@ocsp.example/"), ("OCSP_RESPONDERS", "http://a/,,http://b/"),
        ("OCSP_RESPONDERS", "file:///etc/passwd"),
    ],
)  # fmt: skip
def test_wrong_signers_and_responders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"COUNTERMARK_{name}", value)
    with pytest.raises(UsageError, match=name.lower()):
        load(tmp_path)
