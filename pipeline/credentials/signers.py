"""Registering claim signers that another CA certified, so that verifiers know them *before* they sign."""

from pathlib import Path

from cryptography import x509

from pipeline.credentials import anchors
from pipeline.credentials.keyfiles import locked
from pipeline.credentials.pki import add_signer, load_pki, signer_entry
from pipeline.credentials.profile import demand_profile, extension, issued_by, issuer_among, read_roots
from pipeline.credentials.safe import Safe
from pipeline.credentials.trust import TrustStore
from pipeline.errors import KeysUnusable


def register(
    folder: Path,
    chain: list[x509.Certificate],
    root: x509.Certificate | None,
    safe: Safe | None = None,
    trust: TrustStore | None = None,
) -> None:
    """Make `chain` (leaf first, no root) known as ours; with `root`, believe that CA's root from now on;
    `safe` opens sealed keys; `trust`: whom the home believes, for time-stamps too (`roots.with_roots`);
    by default what is in the folder.

    Registering twice changes nothing. Roots and intermediates are written before the signer: a crash between
    leaves a root without signers, under which nothing counts as ours.
    Raises: KeysUnusable when the leaf has not the profile, the chain does not end under a claim root, or the
    root is none, is a time-stamp root, or has the name of another root.
    """
    demand_profile(chain[0])
    trust = trust or load_pki(folder, safe).trust
    roots = read_roots(trust.claim_roots)
    new = [root] if root is not None and root not in roots else []
    for one in new:
        _demand_root(one, roots, read_roots(trust.tsa_roots))
    if issuer_among(chain[-1], [*roots, *new]) is None:
        raise KeysUnusable("the chain ends under no claim root of this home; name its root with --root")
    with locked(folder.with_name(f"{folder.name}.lock")):
        anchors.add(folder / anchors.CLAIM_ROOTS, new)
        anchors.add(folder / anchors.INTERMEDIATES, chain[1:])
    add_signer(folder, signer_entry(chain[0]))


def _demand_root(
    root: x509.Certificate, roots: list[x509.Certificate], stamping: list[x509.Certificate]
) -> None:
    constraints, usage = extension(root, x509.BasicConstraints), extension(root, x509.KeyUsage)
    if not issued_by(root, root) or constraints is None or not constraints.ca:
        raise KeysUnusable("what --root names is no root: not a CA that signed itself; name another file")
    if usage is None or not usage.key_cert_sign:
        raise KeysUnusable("the root's key usage does not let it sign certificates; name another file")
    if any(root.public_key() == one.public_key() for one in stamping):
        raise KeysUnusable("this root vouches for time-stamps here; a claim root must be another one")
    if any(root.subject == one.subject for one in roots):
        raise KeysUnusable("another claim root has the same name, so signers could not be told apart")
