"""Every form in which the secrets of a home might stand in a file: raw, hexadecimal, base64, PEM, DER."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pipeline.credentials.safe import Secret


def forms(contents: Mapping[str, bytes]) -> list[bytes]:
    """Of what the secret files of a home hold in the clear, by their names."""
    return [b"PRIVATE KEY", *(form for name, content in contents.items() for form in _forms(name, content))]


def exposed(folder: Path, wanted: list[bytes]) -> list[str]:
    """Names of the files of a folder, at any depth, in which one of these stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return sorted(path.name for path in files if any(form in path.read_bytes() for form in wanted))


def _forms(name: str, content: bytes) -> Iterator[bytes]:
    if name.endswith(".pem"):
        key = load_pem_private_key(content, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        yield key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        yield from content.splitlines()[1:3]
        secrets = [key.private_numbers().private_value.to_bytes(32)]
    elif name == Secret.REPORT:
        secrets = [bytes.fromhex(json.loads(content)["secret"])]
    elif name.endswith(".json"):
        marks = json.loads(content)
        told = [marks["minting"], marks["log"], *(row["secret"] for row in marks["detection"])]
        secrets = [bytes.fromhex(one) for one in told]
    else:
        secrets = [content]
    for one in secrets:
        yield from (one, one.hex().encode(), one.hex().upper().encode(), base64.b64encode(one)[:40])
