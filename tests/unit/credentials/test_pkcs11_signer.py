"""Claim keys in a PKCS#11 module (SoftHSM): every algorithm, threads, a token that goes away, PINs."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credentials.algorithms import holds
from pipeline.credentials.choice import Choice, open_key, open_signer
from pipeline.credentials.pkcs11_key import Pkcs11Key
from pipeline.credentials.pkcs11_uri import parse
from pipeline.credentials.pki import load_pki
from pipeline.credentials.profile import read_chain
from pipeline.credentials.sign import sign_clip
from pipeline.credentials.signers import register
from pipeline.credentials.tsa import local_tsa
from pipeline.errors import KeysUnusable, SigningFailed, UsageError

PIN = "4711"
ALGORITHMS = ("es256", "es384", "ps256", "ed25519")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_a_clip_is_signed_by_a_key_in_the_module_and_reads_as_ours(desk, module, certified, tmp_path, kind):
    chain = tmp_path / "chain.pem"
    chain.write_text(certified(module.public[kind]))
    register(desk.pki.folder, read_chain(chain.read_text()), None)
    trust = load_pki(desk.pki.folder).trust
    signer = open_signer(Choice(signer=module.uri(kind), chain=chain, pin=PIN), desk.pki, trust, now())
    assert signer.alg == kind
    with local_tsa(desk.pki, clock=now) as tsa:
        sign_clip(desk.source, tmp_path / "out.mp4", desk.created(), signer=signer, tsa=tsa, trust=trust)
    reading = desk.read(tmp_path / "out.mp4", trust)
    assert reading.intact
    assert reading.signer_cert_sha256 == trust.signers.entries[-1].cert_sha256
    assert not desk.read(tmp_path / "out.mp4").ours  # who does not know the signer does not take it for ours


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_the_public_key_comes_from_the_token(module, kind):
    key = open_key(Choice(signer=module.uri(kind), pin=PIN))
    assert key.public_key == module.public[kind]
    assert holds(module.public[kind], key.sign(b"text"), b"text")
    assert not holds(module.public[kind], key.sign(b"text"), b"Text")


def test_the_key_of_another_certificate_does_not_sign(module):
    key = Pkcs11Key(parse(module.uri("es256")), PIN, module.public["es384"])
    with pytest.raises(KeysUnusable):
        key.sign(b"text")
    other = Pkcs11Key(parse(module.uri("ps256")), PIN, module.public["es256"])
    with pytest.raises(KeysUnusable):
        other.sign(b"text")


def test_many_signatures_by_several_threads_and_two_keys_of_one_token(module, monkeypatch):
    monkeypatch.delattr(Pkcs11Key, "_reopen")  # threads must not disturb each other in the first place
    keys = [Pkcs11Key(parse(module.uri(kind)), PIN) for kind in ("es256", "es384")]
    texts = [f"text {number}".encode() for number in range(120)]

    def one(number: int) -> bool:
        key = keys[number % 2]
        return holds(key.public_key, key.sign(texts[number]), texts[number])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(one, range(len(texts))))


def test_a_token_that_was_pulled_out_signs_again_once_it_is_back(module):
    first, second = (Pkcs11Key(parse(module.uri(kind)), PIN) for kind in ("es256", "ps256"))
    with module.pulled_out():
        for _ in range(2):
            with pytest.raises(KeysUnusable, match="key es256 of token claims cannot be used"):
                first.sign(b"text")
    for _ in range(3):  # the module was begun anew for the first key: the second one has lost its session
        assert holds(first.public_key, first.sign(b"text"), b"text")
        assert holds(second.public_key, second.sign(b"text"), b"text")


def test_threads_that_all_find_the_session_lost_do_not_disturb_each_other(module):
    key = Pkcs11Key(parse(module.uri("es256")), PIN)
    for _ in range(12):
        module.begin_anew()  # sessions and login are gone
        together = threading.Barrier(6)

        def one(barrier: threading.Barrier) -> bytes:
            barrier.wait()
            return key.sign(b"text")

        with ThreadPoolExecutor(6) as pool:
            assert all(holds(key.public_key, made, b"text") for made in pool.map(one, [together] * 6))


def test_a_token_that_was_put_in_after_the_module_began_is_found(module):
    with module.pulled_out():
        module.begin_anew()
        with pytest.raises(KeysUnusable, match="TokenNotPresent"):
            Pkcs11Key(parse(module.uri("es256")), PIN)
    assert Pkcs11Key(parse(module.uri("es256")), PIN).sign(b"text")


def test_a_refused_pin_is_tried_once(module, monkeypatch):
    module.begin_anew()  # nobody is logged in
    tried = []
    log_in = Pkcs11Key._log_in
    monkeypatch.setattr(Pkcs11Key, "_log_in", lambda self, token: tried.append(1) or log_in(self, token))
    with pytest.raises(KeysUnusable, match="PinIncorrect") as caught:
        Pkcs11Key(parse(module.uri("es256")), "0815")
    assert "0815" not in str(caught.value)
    for _ in range(3):
        with pytest.raises(KeysUnusable, match="not tried again"):
            Pkcs11Key(parse(module.uri("es256")), "0815")
    assert len(tried) == 1
    assert Pkcs11Key(parse(module.uri("es256")), PIN).sign(b"text")


def test_the_pin_comes_from_a_file_that_only_its_owner_reads(module, tmp_path):
    pin = tmp_path / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    uri = parse(module.uri("es256", f"&pin-source=file:{pin}"))
    assert Pkcs11Key(uri, None).sign(b"text")
    pin.chmod(0o644)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        Pkcs11Key(uri, None)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ("object=nobody", "NoSuchKey"),
        ("object=es256;id=%02", "NoSuchKey"),
        ("object=es256;model=x", "TokenNot"),
    ],
)
def test_what_is_not_in_the_module_is_told(module, changed, kind):
    with pytest.raises(KeysUnusable, match=kind):
        Pkcs11Key(parse(module.uri("es256").replace("object=es256", changed)), PIN)


def test_a_library_that_is_none_is_told(tmp_path):
    (tmp_path / "module.so").write_bytes(b"no library")
    for name in ("module.so", "nothing.so"):
        with pytest.raises(KeysUnusable, match="cannot be used"):
            Pkcs11Key(parse(f"pkcs11:token=t;object=k?module-path={tmp_path / name}"), PIN)


def test_a_module_that_is_away_while_signing_leaves_nothing_unsigned(desk, module, certified, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_text(certified(module.public["es256"]))
    register(desk.pki.folder, read_chain(chain.read_text()), None)
    trust = load_pki(desk.pki.folder).trust
    signer = open_signer(Choice(signer=module.uri("es256"), chain=chain, pin=PIN), desk.pki, trust, now())
    with (
        local_tsa(desk.pki, clock=now) as tsa, module.pulled_out(),
        pytest.raises(SigningFailed, match="key es256 of token claims cannot be used"),
    ):  # fmt: skip
        sign_clip(desk.source, tmp_path / "out.mp4", desk.created(), signer=signer, tsa=tsa, trust=trust)
    assert list(tmp_path.iterdir()) == [chain]


# The URI


def test_a_uri_is_read():
    uri = parse(
        "pkcs11:token=my%20token;manufacturer=Acme;serial=01ab;model=x;slot-id=7;id=%01%ff;type=private"
        "?module-path=/opt/m.so&pin-source=file:///etc/pin"
    )
    assert (uri.token, uri.manufacturer, uri.serial, uri.model) == ("my token", "Acme", "01ab", "x")
    assert (uri.slot_id, uri.id, uri.object) == (7, b"\x01\xff", None)
    assert (uri.module, uri.pin_file) == (Path("/opt/m.so"), Path("/etc/pin"))
    assert uri.told == "key 01ff of token my token"


WRONG = {
    "pkcs11:": "names no key", "kms:x": "begin with", "pkcs11:token=t?module-path=/m": "names no key",
    "pkcs11:object=k?module-path=/m": "names no token", "pkcs11:token=t;object=k": "module-path",
    "pkcs11:token=t;object=k?module-path=m.so": "whole path", "pkcs11:token=t;object=k;object=l": "twice",
    "pkcs11:token=t;object=k?module-path=/m&pin-value=1234": "holds a PIN",
    "pkcs11:token=t;object=k?module-path=/m&pin-source=|cat%20/pin": "pin-source",
    "pkcs11:token=t;object=k?module-path=/m&pin-source=pin": "pin-source",
    "pkcs11:token=t;object=k?module-name=m": "not supported", "pkcs11:token=t;colour=red": "not supported",
    "pkcs11:token=t;object=k;type=public": "not private", "pkcs11:token=%ff;object=k": "UTF-8",
    "pkcs11:token=t%0a;object=k": "control", "pkcs11:token=t;object=k;slot-id=x?module-path=/m": "decimal",
    "pkcs11:token": "name=value", f"pkcs11:token={'t' * 2000}": "begin with",
}  # fmt: skip


@pytest.mark.parametrize("uri", WRONG)
def test_a_wrong_uri_is_refused_with_the_reason(uri):
    with pytest.raises(UsageError, match=WRONG[uri]) as caught:
        parse(uri)
    assert "1234" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_uri(text):
    with contextlib.suppress(UsageError):
        parse(f"pkcs11:{text}")
