import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from registry_builders import KEY, KEY_ID, ORIGIN, SIGNER

from registry.checkpoint import NoteSigner, ed25519_key_id, make_note, open_note, parse_note
from registry.errors import ProofInvalid

ROOT = bytes(range(32))


def verify(signature: bytes, text: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, text)
    except InvalidSignature:
        return False
    return True


def opened(note: str, origin: str = ORIGIN) -> int:
    return open_note(note, origin=origin, name="guard", key_id=KEY_ID, verify=verify).size


def test_key_id_and_signed_bytes_are_those_of_the_go_implementation() -> None:
    """The example of golang.org/x/mod/sumdb/note."""
    public = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert public[0] == 1
    assert ed25519_key_id("PeterNeumann", public[1:]).hex() == "c74f20a3"
    text = b"If you think cryptography is the answer to your problem,\n"
    text += b"then you don't know what your problem is.\n"
    signed = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(base64.b64decode(signed)[4:], text)


def test_a_note_reads_back() -> None:
    note = make_note(7, ROOT, SIGNER)
    assert note.startswith(f"{ORIGIN}\n7\n{base64.b64encode(ROOT).decode()}\n\n— guard ")
    checkpoint = parse_note(note)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (ORIGIN, 7, ROOT)
    assert opened(note) == 7


def test_another_log_another_key_and_another_size_are_refused() -> None:
    note = make_note(7, ROOT, SIGNER)
    stranger = NoteSigner(origin=ORIGIN, name="guard", key_id=b"abcd", sign=KEY.sign)
    for wrong in (note.replace("\n7\n", "\n8\n"), make_note(7, ROOT, stranger)):
        with pytest.raises(ProofInvalid):
            opened(wrong)
    with pytest.raises(ProofInvalid):
        opened(note, "other.example/log")


def test_a_second_signature_does_not_disturb() -> None:
    witness = NoteSigner(origin=ORIGIN, name="witness", key_id=b"abcd", sign=lambda _: b"w" * 64)
    extra = make_note(7, ROOT, witness).rpartition("\n\n")[2]
    assert opened(make_note(7, ROOT, SIGNER) + extra) == 7
    assert opened(make_note(7, ROOT, SIGNER).replace("\n\n", f"\n\n{extra}")) == 7


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "line\nbreak"])
def test_names_that_would_break_the_format_are_refused(name: str) -> None:
    for origin, key in ((name, "guard"), (ORIGIN, name)):
        with pytest.raises(ProofInvalid):
            make_note(1, ROOT, NoteSigner(origin=origin, name=key, key_id=KEY_ID, sign=KEY.sign))


@given(st.data())
def test_a_damaged_note_is_refused_and_never_crashes(data: st.DataObject) -> None:
    note = make_note(7, ROOT, SIGNER)
    position = data.draw(st.integers(0, len(note) - 1))
    replacement = data.draw(st.text(max_size=2).filter(lambda t: t != note[position]))
    with pytest.raises(ProofInvalid):
        opened(note[:position] + replacement + note[position + 1 :])


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid):
        parse_note(text)
