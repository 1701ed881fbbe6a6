"""Keys at rest: what is sealed, what opens it, and what a killed command leaves."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_forms import exposed, forms

from pipeline.credentials import anchors, envelope, sealing
from pipeline.credentials.envelope import DataKey, DoesNotOpen
from pipeline.credentials.pki import ensure_pki, load_pki
from pipeline.credentials.profile import read_roots
from pipeline.credentials.report_key import ensure_report_key
from pipeline.credentials.safe import SEAL_FILE, Safe, Secret, safe_of
from pipeline.errors import KeysUnusable, UsageError
from pipeline.home import Home
from pipeline.keyring import ensure_keyring, load_keyring
from pipeline.settings import load
from pipeline.sights import ensure_sealer

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIGHT = 1 << 4  # scrypt's cost: these tests are not about guessing
OLD, NEW = b"correct horse battery", b"staple of another kind"
Op = Callable[[Path], Any]


def safe(folder: Path, passphrase: bytes | None = OLD) -> Safe:
    return Safe(folder=folder, passphrase=lambda: passphrase)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a home, in the clear."""
    folder = tmp_path_factory.mktemp("plain") / "keys"
    ensure_keyring(folder)
    ensure_pki(folder / "pki", now=NOW)
    ensure_sealer(Safe(folder=folder))
    ensure_report_key(Safe(folder=folder))
    (folder / Secret.WEBHOOKS).write_bytes(bytes(range(32)))
    (folder / Secret.WEBHOOKS).chmod(0o600)
    return folder


@pytest.fixture
def keys(plain: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(plain, tmp_path / "home" / "keys"))


def contents(folder: Path, passphrase: bytes | None) -> dict[str, bytes]:
    opened = safe(folder, passphrase)
    return {secret: opened.read(folder / secret, secret) for secret in Secret}


# The envelope


@given(content=st.binary(max_size=64), place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_what_was_sealed_opens_and_nothing_else_does(content: bytes, place: int, bit: int) -> None:
    key = DataKey.fresh()
    sealed = envelope.seal(key, "marks.json", "MARKS", content)
    assert envelope.unseal([DataKey.fresh(), key], "marks.json", "MARKS", sealed) == content
    changed = bytearray(sealed)
    changed[place % len(sealed)] ^= 1 << bit
    wrong = [
        ([key], "sights.key", "MARKS", sealed), ([key], "marks.json", "SIGHTS", sealed),
        ([replace(key, secret=bytes(32))], "marks.json", "MARKS", sealed),
        ([], "marks.json", "MARKS", sealed), ([key], "marks.json", "MARKS", bytes(changed)),
        ([key], "marks.json", "MARKS", sealed[:-1]),
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(DoesNotOpen):
            envelope.unseal(*arguments)


def test_a_record_opens_with_its_pass_phrase_in_its_state_only() -> None:
    key = DataKey.fresh()
    record = envelope.record_of([key], OLD, envelope.State.SEALED, n=LIGHT)
    record = envelope.SealRecord.from_json(json.dumps(record.to_json()).encode())
    assert envelope.open_record(record, OLD) == (key,)
    for other, phrase in ((record, NEW), (replace(record, state=envelope.State.SEALING), OLD)):
        with pytest.raises(DoesNotOpen):
            envelope.open_record(other, phrase)


# Sealed and unsealed


def test_sealed_keys_are_the_same_and_nowhere_in_the_clear(keys: Path, plain: Path) -> None:
    before, secrets = load_keyring(keys), contents(keys, None)
    wanted = forms(secrets)
    assert len(exposed(keys, wanted)) == len(Secret)
    (keys / ".marks.json.left").write_bytes((keys / Secret.MARKS).read_bytes())  # of a killed writer
    told: list[str] = []
    assert sealing.seal(safe(keys), told.append, n=LIGHT) == []
    assert exposed(keys, wanted) == []
    assert sorted(told) == sorted(Secret)
    assert load_keyring(keys, safe(keys)) == before
    assert load_pki(keys / "pki", safe(keys)).claim.certificate == load_pki(plain / "pki").claim.certificate
    sealing.unseal(safe(keys))
    assert contents(keys, None) == secrets
    assert not (keys / SEAL_FILE).exists()


def test_a_foreign_file_among_the_keys_is_told_and_kept(keys: Path) -> None:
    (keys / "notes.txt").write_text("mine")
    assert sealing.seal(safe(keys), n=LIGHT) == ["notes.txt"]
    assert (keys / "notes.txt").read_text() == "mine"


def test_our_own_trust_files_are_no_foreign_files(keys: Path) -> None:
    root = load_pki(keys / "pki").trust.claim_roots
    for name in ("claim_roots.pem", "intermediates.pem"):
        anchors.add(keys / "pki" / name, read_roots(root))
    (keys / "pki" / "ocsp_address").write_text("http://127.0.0.1/")
    assert sealing.seal(safe(keys), n=LIGHT) == []


def test_the_same_pass_phrase_means_a_new_data_key(keys: Path, plain: Path) -> None:
    sealing.seal(safe(keys), n=LIGHT)
    before = envelope.sealed_by((keys / Secret.MARKS).read_bytes())
    told: list[str] = []
    sealing.reseal(safe(keys), OLD, told.append)
    assert sorted(told) == sorted(Secret)
    assert envelope.sealed_by((keys / Secret.MARKS).read_bytes()) != before
    assert contents(keys, OLD) == contents(plain, None)
    sealing.reseal(safe(keys), NEW)
    told = []
    for done in (safe(keys), safe(keys, None)):  # the old pass phrase opens nothing, or is gone
        sealing.reseal(done, NEW, told.append)
    assert told == []


def test_another_pass_phrase_opens_and_the_old_one_does_not(keys: Path, plain: Path) -> None:
    sealing.seal(safe(keys), n=LIGHT)
    old = {secret: (keys / secret).read_bytes() for secret in Secret}
    sealing.reseal(safe(keys), NEW)
    assert contents(keys, NEW) == contents(plain, None)
    with pytest.raises(KeysUnusable, match="does not open"):
        load_keyring(keys, safe(keys))
    # A new data key, too: who kept the old files and the old pass phrase cannot read what comes.
    for secret, content in old.items():
        assert envelope.sealed_by((keys / secret).read_bytes()) != envelope.sealed_by(content)


def test_a_new_home_with_a_pass_phrase_is_sealed_from_its_first_key_on(tmp_path: Path) -> None:
    opened = safe(tmp_path / "keys")
    ensure_keyring(tmp_path / "keys", opened)
    ensure_pki(tmp_path / "keys" / "pki", now=NOW, safe=opened)
    ensure_sealer(opened)
    ensure_report_key(opened)
    for secret in opened.present():
        assert envelope.is_sealed((tmp_path / "keys" / secret).read_bytes())
    assert len(opened.present()) == len(Secret) - 1  # the key of webhooks is made with the first of them


# Refused, and nothing made anew


@pytest.mark.parametrize(("phrase", "says"), [(None, "no pass phrase"), (NEW, "does not open")])
def test_without_the_pass_phrase_nothing_is_read_and_nothing_made(
    keys: Path, phrase: bytes | None, says: str
) -> None:
    (keys / Secret.SIGHTS).unlink()
    sealing.seal(safe(keys), n=LIGHT)
    before = {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()}
    wrong = safe(keys, phrase)
    attempts: list[Op] = [
        lambda folder: ensure_keyring(folder, wrong), lambda _: ensure_sealer(wrong),
        lambda folder: ensure_pki(folder / "pki", now=NOW, safe=wrong), lambda _: sealing.unseal(wrong),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(KeysUnusable, match=says):
            attempt(keys)
    after = {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()}
    assert {path for path in after if path.suffix != ".lock"} == {
        path for path in before if path.suffix != ".lock"
    }
    assert all(after[path] == content for path, content in before.items())


def swapped(keys: Path) -> None:
    content = (keys / Secret.TSA_ROOT).read_bytes()
    (keys / Secret.CLAIM_ROOT).write_bytes(content)


def lost(keys: Path) -> None:
    (keys / SEAL_FILE).unlink()


def put_back_plain(keys: Path) -> None:
    sealing.unseal(safe(keys))
    content = (keys / Secret.CLAIM_ROOT).read_bytes()
    sealing.seal(safe(keys), n=LIGHT)
    (keys / Secret.CLAIM_ROOT).write_bytes(content)


def spoilt(keys: Path) -> None:
    (keys / SEAL_FILE).write_text('{"format": "countermark-seal/2"}')


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (swapped, "another file in its place"), (lost, "seal.json is gone"), (put_back_plain, "not sealed"),
        (spoilt, "damaged"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_sealed_is_refused(keys: Path, harm: Op, says: str) -> None:
    sealing.seal(safe(keys), n=LIGHT)
    harm(keys)
    with pytest.raises(KeysUnusable, match=says):
        load_pki(keys / "pki", safe(keys))


def test_a_lost_record_has_no_plain_key_written_beside_sealed_ones(keys: Path) -> None:
    (keys / Secret.SIGHTS).unlink()
    sealing.seal(safe(keys), n=LIGHT)
    (keys / SEAL_FILE).unlink()
    for phrase in (OLD, None):
        with pytest.raises(KeysUnusable, match=r"seal\.json is gone"):
            ensure_sealer(safe(keys, phrase))
    assert not (keys / Secret.SIGHTS).exists()


# Where the pass phrase comes from


def settings(home: Path, monkeypatch: pytest.MonkeyPatch, **named: str) -> Safe:
    for name, value in named.items():
        monkeypatch.setenv(f"COUNTERMARK_{name.upper()}", value)
    return safe_of(load(home))


def test_the_pass_phrase_comes_from_the_environment_or_a_file_that_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings(tmp_path / "home", monkeypatch).passphrase() is None
    composed, split = "Zoe\u0308 and the horse", "Zo\u00eb and the horse"  # one text, two keyboards
    assert settings(tmp_path, monkeypatch, keys_passphrase=composed).passphrase() == split.encode()
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE")
    file = tmp_path / "phrase"
    file.write_text(f"{composed}\n")
    opened = settings(tmp_path / "home", monkeypatch, keys_passphrase_file=str(file))
    assert opened.passphrase() == split.encode()
    file.write_text("a new one\r\n")
    assert opened.passphrase() == b"a new one"
    for content in (b"", b"\n", b"\xff\xfe", bytes(5000)):
        file.write_bytes(content)
        with pytest.raises(KeysUnusable, match="pass phrase"):
            opened.passphrase()
    with pytest.raises(UsageError, match="keys_passphrase"):
        settings(tmp_path / "home", monkeypatch, keys_passphrase="another")


def test_the_pass_phrase_may_not_lie_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    home.make()
    (home.root / "phrase").write_text("a long enough phrase")
    (tmp_path / "link").symlink_to(home.root / "phrase")
    for path in (home.root / "phrase", tmp_path / "link"):
        with pytest.raises(KeysUnusable, match="lies in the home"):
            settings(home.root, monkeypatch, keys_passphrase_file=str(path)).passphrase()
    monkeypatch.delenv("COUNTERMARK_KEYS_PASSPHRASE_FILE")
    (home.root / "settings.toml").write_text('keys_passphrase = "a long enough phrase"\n')
    with pytest.raises(UsageError, match="keys_passphrase_file"):
        load(home.root)


def test_a_short_pass_phrase_seals_nothing(keys: Path) -> None:
    with pytest.raises(KeysUnusable, match="12"):
        sealing.seal(safe(keys, b"hunter2"), n=LIGHT)
    sealing.seal(safe(keys), n=LIGHT)
    with pytest.raises(KeysUnusable, match="12"):
        sealing.reseal(safe(keys), b"hunter2")


# Killed at every change of the disk


class Killed(BaseException):
    """The end of the process: nothing is tidied up that only handles errors."""


class Axe:
    """Kills this process' work right before its n-th renaming or deletion. An audit hook stays for ever."""

    left: ClassVar[int | None] = None
    meanwhile: ClassVar[Callable[[], object] | None] = None
    """What another process does right before ``seal.json`` is opened, once."""

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(SEAL_FILE) and (work := cls.meanwhile):
            cls.meanwhile = None
            work()
        if cls.left is None or event not in ("os.rename", "os.remove"):
            return
        if cls.left == 0:
            raise Killed
        cls.left -= 1


@pytest.fixture(scope="module")
def axe() -> type[Axe]:
    sys.addaudithook(Axe.hook)
    return Axe


def killed_at_each(work: Op, keys: Path, axe: type[Axe]) -> Iterator[Path]:
    """Copies of `keys` in which `work` was killed at its first change, its second, and so on."""
    for number in range(100):
        folder = Path(shutil.copytree(keys, keys.with_name(f"killed-{number}")))
        axe.left = number
        try:
            work(folder)
        except Killed:
            axe.left = None
            yield folder
        else:
            assert number > len(Secret)
            return
        finally:
            axe.left = None


def readable(folder: Path, wanted: dict[str, bytes]) -> bool:
    """Whether one of the pass phrases opens everything."""
    for phrase in (OLD, NEW):
        try:
            return contents(folder, phrase) == wanted
        except KeysUnusable:
            continue
    return False


@pytest.mark.parametrize("kind", ["seal", "reseal", "the same", "unseal"])
def test_killed_anywhere_all_can_be_read_and_the_same_command_goes_on(
    keys: Path, plain: Path, axe: type[Axe], kind: str
) -> None:
    if kind != "seal":
        sealing.seal(safe(keys), n=LIGHT)
    works: dict[str, Op] = {
        "seal": lambda folder: sealing.seal(safe(folder), n=LIGHT),
        "reseal": lambda folder: sealing.reseal(safe(folder), NEW),
        "the same": lambda folder: sealing.reseal(safe(folder), OLD),
        "unseal": lambda folder: sealing.unseal(safe(folder)),
    }
    wanted = contents(plain, None)
    for folder in killed_at_each(works[kind], keys, axe):
        assert readable(folder, wanted)
        works[kind](folder)
        if kind == "unseal":
            assert contents(folder, None) == wanted
            assert not (folder / SEAL_FILE).exists()
        else:
            assert contents(folder, NEW if kind == "reseal" else OLD) == wanted
            assert exposed(folder, forms(wanted)) == []
            record = safe(folder).record()
            assert record is not None
            assert (str(record.state), len(record.keys)) == ("sealed", 1)
        assert not list(folder.rglob(".*"))


def test_who_reads_while_a_command_seals_reads_again(keys: Path, axe: type[Axe]) -> None:
    begun = next(
        folder
        for number, folder in enumerate(
            killed_at_each(lambda one: sealing.seal(safe(one), n=LIGHT), keys, axe)
        )
        if number == 1
    )
    assert not envelope.is_sealed((begun / Secret.MARKS).read_bytes())
    axe.meanwhile = lambda: sealing.seal(safe(begun))  # after the plain file was read
    assert load_keyring(begun, safe(begun)) == load_keyring(keys)
    assert envelope.is_sealed((begun / Secret.MARKS).read_bytes())
    assert axe.meanwhile is None
