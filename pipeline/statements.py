"""Statements of reasons, in the field names of the EU's DSA Transparency Database (its API, version 2).

A statement is derived from what is recorded (`registry.restrictions`) whenever it is asked for; none is
stored. It names nobody, and holds neither prompts, scores nor thresholds: it may be published, and says
nothing that helps to get past a check. Whose decision it is sees the reasons in full at the job.
"""

from collections.abc import Mapping
from typing import Any, Final

from classifiers.unsafe.taxonomy import Category, category_of
from pipeline import policy as policies
from pipeline.types import Json
from registry import recalls
from registry.restrictions import BOTH, HOLD, MACHINE, REFUSAL, SUSPENSION, WITHDRAWAL, Found, Restriction

EEA: Final = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip
"""The territories that the database knows; a decision here holds in all of them."""
MAX_FACTS: Final = 5000
_OTHER: Final = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"
_PROPERTY: Final = "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS"
_PRIVACY: Final = "STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"
_UNSAFE: Final[Mapping[Category, str]] = {
    Category.SEXUAL: _OTHER, Category.SEXUAL_LIKENESS: "STATEMENT_CATEGORY_CYBER_VIOLENCE",
    Category.MINORS: "STATEMENT_CATEGORY_PROTECTION_OF_MINORS",
    Category.VIOLENCE: "STATEMENT_CATEGORY_VIOLENCE", Category.GORE: "STATEMENT_CATEGORY_VIOLENCE",
    Category.DISTURBING: _OTHER, Category.SELF_HARM: "STATEMENT_CATEGORY_SELF_HARM",
    Category.HATE: "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH",
    Category.HARASSMENT: "STATEMENT_CATEGORY_CYBER_VIOLENCE",
    Category.ILLEGAL: "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY",
    Category.POLITICAL: "STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS",
    Category.MISINFORMATION: "STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS",
    Category.FRAUD: "STATEMENT_CATEGORY_SCAMS_AND_FRAUD", Category.REAL_PERSON: _PRIVACY,
    Category.KNOWN_WORK: _PROPERTY, Category.OTHER: _OTHER,
}  # fmt: skip
_NOTICES: Final = {
    "dsa16": ("SOURCE_ARTICLE_16", "the law that the notice (Article 16 of Regulation (EU) 2022/2065) names"),
    "notice_512": ("SOURCE_TYPE_OTHER_NOTIFICATION", "17 U.S.C. 512(c)"),
    "takedown48": ("SOURCE_TYPE_OTHER_NOTIFICATION", "TAKE IT DOWN Act, section 3"),
    "likeness": ("SOURCE_TYPE_OTHER_NOTIFICATION", "the right of a person in their own likeness"),
}  # fmt: skip
_NOTICE_CATEGORIES: Final = {"notice_512": _PROPERTY, "likeness": _PRIVACY,
                             "takedown48": "STATEMENT_CATEGORY_CYBER_VIOLENCE"}  # fmt: skip
_WHAT: Final = {
    HOLD: "The content is held, and not published, until a person has looked at it",
    REFUSAL: "The content was not published",
    WITHDRAWAL: "Published content is not served any more",
    SUSPENSION: "An API key of the account is suspended",
}  # fmt: skip
_FOUND: Final = {
    policies.NAMES: "the prompt names, or nearly names, {whom}",
    policies.DESCRIPTIONS: "the prompt describes {whom}",
    policies.FRAMES: "the clip looks like {whom}",
    policies.LIKENESS: "a face in the clip looks like {whom}",
    policies.WORDS: "words in the clip name {whom}",
    policies.UNREGISTERED: "the prompt holds a name, and the policy asks for a licence for named persons and "
    "works",
    policies.AUDIO: "the clip has sound that no check has listened to",
}  # fmt: skip
_BY_CODE: Final = {
    "refused_by_person": "a person looked at it and refused it",
    "opted_out": "it shows {whom}, whose owner opted out since",
    "notice": "a notice about it was received and counts",
    "derivative": "it was made from content that was withdrawn",
    "parent_withdrawn": "it was made from content that was withdrawn",
    "key_revoked": "it was asked for with an API key that was revoked",
    "withdrawn_by_operator": "the operator of the service withdrew it",
    "check_not_configured": "a check that the policy asks for is not set up",
    "check_unfinished": "a check that the policy asks for could not be finished",
    "hidden_mark_missed": "its hidden mark could not be read back",
    "permission_refused": "its rights holder was asked, and refused",
    "permission_expired": "its rights holder was asked, and did not answer in time",
    "key_many_addresses": "it was used from more network addresses within an hour than one user has",
}  # fmt: skip
_KINDS: Final = {
    "character": "a character", "person": "a person", "logo": "a logo or brand", "artwork": "an artwork",
    "portfolio": "something of a registered catalogue", "voice": "a voice",
}  # fmt: skip


def statement(told: Restriction) -> Json:
    """The statement about a restriction: members of the database's API, and no others."""
    document: dict[str, Any] = {
        "puid": told.id, "category": _category(told), "decision_facts": _facts(told)[:MAX_FACTS],
        "content_type": _content(told), "content_date": told.content_at[:10],
        "application_date": told.at[:10], "territorial_scope": [*EEA],
        "automated_detection": "Yes" if told.by in (MACHINE, BOTH) else "No",
        "automated_decision": _AUTOMATED[told.by],
        "source_type": "SOURCE_VOLUNTARY",
    }  # fmt: skip
    return document | _restricted(told) | _grounds(told)


_AUTOMATED: Final = {
    MACHINE: "AUTOMATED_DECISION_FULLY", BOTH: "AUTOMATED_DECISION_PARTIALLY",
    "person": "AUTOMATED_DECISION_NOT_AUTOMATED",
}  # fmt: skip


def _restricted(told: Restriction) -> dict[str, Any]:
    ended = "" if told.ended_at is None else told.ended_at[:10]
    if told.kind == SUSPENSION:
        return {"decision_account": "DECISION_ACCOUNT_SUSPENDED", "content_type_other": "an account"} | (
            {"end_date_account_restriction": ended} if ended else {}
        )
    what = "REMOVED" if told.kind == REFUSAL else "DISABLED"
    return {"decision_visibility": [f"DECISION_VISIBILITY_CONTENT_{what}"]} | (
        {"end_date_visibility_restriction": ended} if ended else {}
    )


def _grounds(told: Restriction) -> Json:
    if told.cause == recalls.CLAIM and told.notice in _NOTICES:
        source, law = _NOTICES[told.notice]
        return {
            "source_type": source, "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT",
            "illegal_content_legal_ground": law,
            "illegal_content_explanation": "A notice says that the content is illegal on this ground, and "
            "why; it counts until it is decided otherwise.",
        }  # fmt: skip
    named = "the terms of the service" if told.policy is None else (
        f"the policy {told.policy[0]}, version {told.policy[1]}, of the service"
    )  # fmt: skip
    return {
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_ground": named,
        "incompatible_content_explanation": _sentence(told),
    }  # fmt: skip


def _category(told: Restriction) -> str:
    """The category of the gravest reason; by the notice where there is one."""
    if told.notice:
        return _NOTICE_CATEGORIES.get(told.notice, "STATEMENT_CATEGORY_NOT_SPECIFIED_NOTICE")
    named = [_category_of(one) for one in told.found]
    grave = [one for one in named if one != _OTHER]
    return "STATEMENT_CATEGORY_PROTECTION_OF_MINORS" if any("MINORS" in one for one in grave) else (
        grave[0] if grave else _OTHER
    )  # fmt: skip


def _category_of(one: Found) -> str:
    unsafe = category_of(one.code)
    if unsafe is not None:
        return _UNSAFE[unsafe]
    if one.kind == "person" or one.check == policies.LIKENESS:
        return _PRIVACY
    compared = one.check in (*policies.COMPARED, policies.UNREGISTERED) or one.code == "opted_out"
    return _PROPERTY if compared or one.code.startswith("permission_") else _OTHER


def _content(told: Restriction) -> list[str]:
    if told.kind == SUSPENSION:
        return ["CONTENT_TYPE_OTHER"]
    by_prompt = all(one.check in policies.PROMPT_CHECKS for one in told.found)
    return ["CONTENT_TYPE_SYNTHETIC_MEDIA", "CONTENT_TYPE_TEXT" if by_prompt and not told.made
            else "CONTENT_TYPE_VIDEO"]  # fmt: skip


def _sentence(told: Restriction) -> str:
    found = list(dict.fromkeys(map(_told, told.found))) or ["the policy does not let it out"]
    return f"{_WHAT[told.kind]}, since {'; '.join(found)}."


def _facts(told: Restriction) -> str:
    how = {
        MACHINE: "Automated checks found it and decided, by the policy.",
        BOTH: "Automated checks found it; a person decided.",
    }.get(told.by, "A person decided.")
    codes = ", ".join(sorted({one.code for one in told.found}))
    return f"{_sentence(told)} {how} Reason codes: {codes or 'none'}."


def _told(one: Found) -> str:
    whom = _KINDS.get(one.kind, "somebody or something")
    known = _BY_CODE.get(one.code)
    if known is not None:
        return known.format(whom=whom)
    category = category_of(one.code)
    if category is not None:
        side = "prompt" if one.code.startswith("unsafe_prompt_") else "clip"
        return f"the {side} belongs to what the service does not make ({str(category).replace('_', ' ')})"
    sentence = _FOUND.get(one.check)
    if sentence is None:
        return f"the check {one.check.replace('_', ' ')} does not let it out"
    return sentence.format(whom=f"{whom} that is registered here")
