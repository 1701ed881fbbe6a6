"""A claim key in AWS KMS, named ``kms:`` and the key's ARN. The private key never leaves the service.

Over botocore, which the extra ``s3`` brings too (boto3 is the same client with more dependencies).
Credentials and address come from where AWS' own tools take them: environment, ``~/.aws``, the machine's role.
The service gets the digest of a claim, never the claim. It needs the rights ``kms:GetPublicKey`` and
``kms:Sign`` on this one key.
"""

import functools
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.serialization import load_der_public_key

from pipeline.credentials.algorithms import PublicKey, SigningAlg, algorithm_of
from pipeline.credentials.signer import CallbackKey, Wants
from pipeline.errors import KeysUnusable, NotInstalled, UsageError

Answer = TypeVar("Answer")

SCHEME: Final = "kms:"
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
TRIES: Final = 3  # in all, with growing pauses; then the job waits and is gone on with later
_ARN: Final = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]{1,256}")
_ALGORITHMS: Final = {
    SigningAlg.ES256: "ECDSA_SHA_256", SigningAlg.ES384: "ECDSA_SHA_384",
    SigningAlg.PS256: "RSASSA_PSS_SHA_256",
}  # fmt: skip


def kms_key(setting: str) -> CallbackKey:
    """The key that ``kms:ARN`` names.

    Raises: UsageError for another form, NotInstalled, KeysUnusable when the service cannot be asked, refuses,
    or has a key that cannot sign claims.
    """
    fits = _ARN.fullmatch(setting.removeprefix(SCHEME))
    if not setting.startswith(SCHEME) or fits is None:
        raise UsageError(
            "the setting signer is no kms:arn:aws:kms:REGION:ACCOUNT:key/ID; see docs/signing.md"
        )
    arn, region = fits.group(), fits.group(2)
    _demand_botocore()
    client = _asked(lambda: _client(region))
    told = _asked(lambda: client.get_public_key(KeyId=arn))
    public = _public(told["PublicKey"])
    algorithm = _ALGORITHMS.get(algorithm_of(public))
    if told.get("KeyUsage") != "SIGN_VERIFY" or algorithm not in told.get("SigningAlgorithms", ()):
        raise KeysUnusable("the key in KMS is not one for signing with ES256, ES384 or PS256; make another")

    def sign(digest: bytes) -> bytes:
        request = {"KeyId": arn, "Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": algorithm}
        signature: bytes = _asked(lambda: client.sign(**request))["Signature"]
        return signature

    return CallbackKey(public, sign, wants=Wants.DIGEST)


def _demand_botocore() -> None:
    if find_spec("botocore") is None:
        raise NotInstalled("keys in AWS KMS need: pip install 'countermark[kms]'")


def _client(region: str) -> Any:
    from botocore.config import Config

    limits = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )  # fmt: skip
    return _session().create_client("kms", region_name=region, config=limits)


@functools.cache
def _session() -> Any:
    """One session: reading the description of the service takes a second."""
    from botocore.session import get_session

    return get_session()


def _public(der: bytes) -> PublicKey:
    try:
        key: Any = load_der_public_key(der)
    except ValueError:
        raise KeysUnusable("KMS answered no public key; check the key's ARN") from None
    algorithm_of(key)
    return key  # type: ignore[no-any-return]


def _asked(ask: Callable[[], Answer]) -> Answer:
    """Ask; what is told of a failure is its kind, since messages can hold addresses and identities."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        kind = str(error.response.get("Error", {}).get("Code", "unknown"))[:80]
    except (BotoCoreError, ValueError) as error:  # the latter for an address that is none
        kind = type(error).__name__
    raise KeysUnusable(f"KMS cannot be used ({kind}); check key, rights and network, then sign again")
