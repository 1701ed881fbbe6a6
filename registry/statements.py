"""What each kind of claim must state. The names are those of the laws they come from; see docs/parties.md."""

import unicodedata
from collections.abc import Mapping
from typing import Final

from registry.errors import ClaimInvalid

STATEMENT_CHARS_MAX: Final = 4_000
SIGNATURE: Final = "signature"
MEANING: Final = {
    "authority": "that you are the owner, or may act for the owner",
    "good_faith": "that you believe in good faith that the use is not permitted",
    "accuracy": "that what you say is accurate",
    "works": "which works (or whose likeness) it is about",
    "location": "where the clip is: its address or its release number",
    "contact": "how you can be reached: an address, a telephone number or an e-mail address",
    "name": "your name",
    "email": "your e-mail address",
    "reasons": "why the content is illegal",
    SIGNATURE: "your name as a signature",
}
NEEDED: Final = {
    "opt_out": ("authority", "good_faith"),
    "likeness": ("authority", "good_faith", SIGNATURE),
    "notice_512": ("works", "location", "contact", "good_faith", "accuracy", "authority", SIGNATURE),
    "dsa16": ("reasons", "location", "name", "email", "good_faith"),
    "takedown48": ("location", "good_faith", "contact", SIGNATURE),
    "withdraw": (),
    "licence_grant": ("authority",),
}
"""By kind; 17 U.S.C. 512(c)(3), DSA article 16(2), TAKE IT DOWN Act section 3(a)(1)(B)."""


def check(kind: str, statements: Mapping[str, str], signature: str) -> None:
    """Raise `ClaimInvalid`, naming everything that is missing, unless a claim of this kind is complete."""
    if kind not in NEEDED:
        raise ClaimInvalid(f"{kind[:40]!r} is no kind of claim; choose one of: {', '.join(NEEDED)}.")
    for name, value in statements.items():
        if name not in MEANING or name == SIGNATURE:
            known = ", ".join(word for word in MEANING if word != SIGNATURE)
            raise ClaimInvalid(f"{name[:40]!r} is no statement; choose from: {known}.")
        _demand_text(name, value)
    _demand_text(SIGNATURE, signature)
    given = {name: value.strip() for name, value in statements.items()} | {SIGNATURE: signature.strip()}
    missing = [name for name in NEEDED[kind] if not given.get(name)]
    if missing:
        told = "; ".join(f"{name} ({MEANING[name]})" for name in missing)
        raise ClaimInvalid(f"A claim of the kind {kind} lacks: {told}.")


def _demand_text(name: str, value: str) -> None:
    if len(value) > STATEMENT_CHARS_MAX:
        raise ClaimInvalid(
            f"The statement {name} is longer than {STATEMENT_CHARS_MAX} characters; shorten it."
        )
    if any(unicodedata.category(one) in ("Cc", "Cs") and one != "\n" for one in value):
        raise ClaimInvalid(f"The statement {name} holds characters that cannot be printed; remove them.")
