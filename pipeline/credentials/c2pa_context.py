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
# c2pa reports which of these lists a signer was found in; `kind` alone fences nothing.
CLAIM_LIST: Final = "urn:countermark:trust:claim"
TSA_LIST: Final = "urn:countermark:trust:tsa"
FOREIGN_LIST: Final = "urn:countermark:trust:foreign"


def settings(trust: TrustStore) -> dict[str, Any]:
    """c2pa settings: our anchors only, no network, smuggled boxes covered by the hash.

    ``bmff_hash_exclude_free_and_skip_boxes`` false makes the hash cover free and skip boxes; with the
    library's default, bytes appended in such a box leave a credential whole. The content hash is never a
    Merkle tree (``merkle_tree_chunk_size_in_kb``): c2pa-rs then writes a box per chunk that no hash covers,
    and another validator disagrees with its leaves. The plain hash reads the file in pieces, so a process
    that signs or verifies takes at most about 570 MiB whatever the clip's size (measured at 0.5 and 1 GiB).
    """
    return {
        "version": 1,
        "trust": {"anchors": _anchors(trust), "trust_config": CLAIM_SIGNING_EKU},
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
