"""The one door to the c2pa library and its settings.

Unknown settings are silently accepted, so tests check their effects.
"""

from typing import Any, Final

from c2pa import (  # type: ignore[import-untyped]
    Builder,
    C2paError,
    C2paSigningAlg,
    Context,
    Reader,
    Signer,
)

from pipeline.credentials.softbinding import ALGORITHMS
from pipeline.credentials.trust import TrustStore

__all__ = ["Builder", "C2paError", "C2paSigningAlg", "Context", "Reader", "Signer", "make_context"]

CLAIM_SIGNING_EKU: Final = "1.3.6.1.4.1.62558.2.1\n"
# What others' signers may have instead (C2PA 2.x, 14.5.1): e-mail protection, document signing.
OTHER_EKUS: Final = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n"
# c2pa reports which of these lists a signer was found in; `kind` alone fences nothing.
CLAIM_LIST: Final = "urn:countermark:trust:claim"
TSA_LIST: Final = "urn:countermark:trust:tsa"
FOREIGN_LIST: Final = "urn:countermark:trust:foreign"


def settings(trust: TrustStore) -> dict[str, Any]:
    """c2pa settings: our anchors only, no network, smuggled boxes covered by the hash.

    ``bmff_hash_exclude_free_and_skip_boxes`` false makes the hash cover free and skip boxes; with the
    library's default, bytes appended in such a box leave a credential whole. The content hash is never a
    Merkle tree (``merkle_tree_chunk_size_in_kb``). Tried with c2pa-python 0.38.1 at 1024 on 200 MB: memory
    falls from 303 to 104 MiB, but c2pa-rs writes 200 C2PA boxes of 244 bytes that no hash covers,
    encypher-c2pa refuses the file, and with two ``mdat`` boxes c2pa itself then reads
    ``assertion.bmffHash.mismatch``. The plain hash reads the file in pieces: a process that signs or verifies
    takes some 30 MiB more than it began with at 50 MB, 170 at 200 MB, and 410 to 500 at 800 and at 1,600 MB,
    where it stays.
    """
    purposes = CLAIM_SIGNING_EKU + (OTHER_EKUS if trust.foreign_roots else "")
    return {
        "version": 1,
        "trust": {"anchors": _anchors(trust), "trust_config": purposes},
        "verify": {
            "verify_trust": True, "verify_after_sign": True, "verify_timestamp_trust": True,
            "remote_manifest_fetch": False, "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": [], "backing_store_memory_threshold_in_mb": 64},
        "builder": {"thumbnail": {"enabled": False}, "bmff_hash_exclude_free_and_skip_boxes": False},
        "soft_binding": {"soft_binding_algorithms": list(ALGORITHMS)},
    }  # fmt: skip


def make_context(trust: TrustStore, *, signer: Signer | None = None) -> Context:
    """A context for one operation; it takes the signer over. Contexts do not survive a fork."""
    return Context.from_dict(settings(trust), signer)


def _anchors(trust: TrustStore) -> list[dict[str, str]]:
    lists = (
        ("manifest", CLAIM_LIST, trust.claim_roots),
        ("manifest", FOREIGN_LIST, trust.foreign_roots),
        ("tsa", TSA_LIST, trust.tsa_roots),
    )
    return [{"trust_anchors": pem, "trust_kind": kind, "trust_uri": uri} for kind, uri, pem in lists if pem]
