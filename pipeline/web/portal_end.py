"""The end of the opt-out pages: who speaks, registering it, and the page that says so.

1. Who is signed in, or types a key for opt-outs, speaks as that key does.
2. Anybody else becomes a party that nobody has verified: what it says blocks at once, for a while
   (`registry.voices`), and it gets a key for its own pages. The key's secret is made of the draft's, so that
   the page which shows it can be opened again, and nothing of it is stored.
3. Everything is prepared before a party is made: what cannot be registered leaves nothing behind.
"""

import json
import logging
import re
from dataclasses import dataclass
from typing import Any, Final

from limits import RateLimitItemPerDay, RateLimitItemPerHour

from pipeline import auth
from pipeline.api import optouts
from pipeline.api.state import Service
from pipeline.clock import clock
from pipeline.credentials.text import safe_text
from pipeline.errors import AskedTooOften, RequestMalformed
from pipeline.optouts.receipt import Receipt
from pipeline.web.drafts import Draft
from pipeline.web.portal_steps import taken_pictures
from pipeline.web.portal_words import DECLARATIONS, PARTIES, Fields
from pipeline.web.rendering import download
from pipeline.web.signing_in import Visitor
from registry import apikeys, parties, rules, scans
from registry.db import read
from registry.errors import KeyRefused, NotFound
from registry.party_types import Estate, Filing, Party

SPEAKING: Final = (auth.OPTOUT, auth.HOLDER)
EACH_HOUR: Final = RateLimitItemPerHour(5)
"""Opt-outs of strangers that one address may register."""
MATCHES_SHOWN: Final = 50
REFRESH_SECONDS: Final = 3
MAX_WHO: Final = 120
_OWN_NUMBER: Final = re.compile(r", [0-9a-f]{8}$")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")  # only so far as to notice a slip

log = logging.getLogger("countermark.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """In whose name an opt-out is said; ``party``: None for a key that is the operator's word."""

    owner: str
    key: str
    party: str | None


def may_speak(visitor: Visitor) -> bool:
    """Whether who is signed in may make opt-outs."""
    return bool({*SPEAKING} & {*visitor.scopes})


def speaker_of(here: Service, account: str, key: str, scopes: tuple[str, ...]) -> Speaker:
    """Who a key speaks for. Raises: `registry.errors.NotFound` for a holder's whose party is gone."""
    by = None if auth.OPTOUT in scopes else parties.find(here.app.engine, account).id
    return Speaker(owner=account, key=key, party=by)


def register(here: Service, secret: str, key: str, visitor: Visitor | None, asker: str) -> None:
    """Register a draft; a second time does nothing. Raises: what is wrong with it, or what `Desk` raises."""
    with here.drafts.changing(secret) as draft:
        if draft.written.done is not None:
            return
        fields = Fields(typed=draft.written.fields)
        _demand_declared(fields)
        speaker = _known(here, key, visitor)
        owner = speaker.owner if speaker else _new_owner(draft, fields)
        if speaker is None:
            _demand_identity(here, fields)
        conditions, orders = fields.conditions, [optouts.order_of(fields.order(), owner)]
        if fields.wants_catalogue:
            orders.append(optouts.order_of(fields.catalogue(_OWN_NUMBER.sub("", owner)), owner))
        shown = taken_pictures(draft)
        prepared = [here.desk.prepare(order, () if n else shown) for n, order in enumerate(orders)]  # 3
        if speaker is None:
            _demand_room(here, asker)
            speaker = _newcomer(here, draft, fields, owner)  # 2
        filing = _filing(fields, speaker) if speaker.party else None
        receipts = here.desk.register_prepared(prepared, filing)
        for one in receipts:
            if conditions is not None and one.id:
                rules.set_rule(
                    here.app.engine, one.id, "allow", conditions=conditions, by=speaker.party, now=clock(),
                    sign_checkpoint=here.app.signer,
                )  # fmt: skip
        log.info("opt-out %s: key %s declared %s", receipts[0].id, speaker.key, " and ".join(DECLARATIONS))
        done = _done(receipts, speaker, fields, own_key=_made_here(here, draft, speaker))
        here.drafts.forget_pictures(draft)
        here.drafts.save(draft, done=done, fields={}, pictures=(), names=(), tried=())


def shown(here: Service, draft: Draft) -> dict[str, Any]:
    """What the last page says."""
    done: Any = draft.written.done
    first, subject = done["first"], done["first"]["subject"]
    with read(here.app.engine) as conn:
        counts = scans.counts(conn, subject)
        progress = scans.progress(conn, first["seq"])
        matches = scans.matches(conn, subject, MATCHES_SHOWN)
    key = apikeys.secret_of(done["key"], draft.key_bytes) if done["own_key"] else ""
    return {
        "done": done, "told": first, "clock": first["at"][11:19], "day": first["at"][:10],
        "receipt": download("application/json", json.dumps(done["receipts"], indent=2, ensure_ascii=False)),
        "key": key, "counts": counts, "progress": progress, "matches": matches,
        "refresh": 0 if progress.done or not subject else REFRESH_SECONDS, "days": here.settings.claim_days,
        "contact": here.settings.contact,
    }  # fmt: skip


def _known(here: Service, key: str, visitor: Visitor | None) -> Speaker | None:
    """Who speaks, where the service knows them (1). Raises: KeyRefused."""
    engine = here.app.engine
    if visitor is not None and may_speak(visitor):
        return speaker_of(here, visitor.caller.account, visitor.caller.key, visitor.scopes)
    if not key:
        return None
    caller = auth.admit_key(engine, key, SPEAKING, clock())
    found = apikeys.get(engine, caller.key)
    return speaker_of(here, caller.account, caller.key, found.scopes if found else ())


def _made_here(here: Service, draft: Draft, speaker: Speaker) -> bool:
    """Whether the key is the one that this draft made (2), which its page shows."""
    try:
        apikeys.authenticate(here.app.engine, apikeys.secret_of(speaker.key, draft.key_bytes), clock())
    except KeyRefused:
        return False
    return True


def _demand_declared(fields: Fields) -> None:
    for name, text in DECLARATIONS.items():
        if not fields[name]:
            raise RequestMalformed(f"this is needed as well: “{text}”")
    if fields.kind == "person" and not fields["signature"].strip():
        raise RequestMalformed("sign with your name: it is about somebody’s likeness")


def _demand_identity(here: Service, fields: Fields) -> None:
    if not here.settings.self_service:
        raise RequestMalformed("type the key that this service gave you; without one it takes no opt-outs")
    who, email = fields["who"].strip(), fields["email"].strip()
    if not who or len(who) > MAX_WHO:
        raise RequestMalformed("say your name, or that of the company")
    if len(email) > MAX_WHO or not _EMAIL.fullmatch(email):
        raise RequestMalformed("say where we can write to you: an e-mail address")
    if fields["whom"] == "represented" and fields["party"] not in PARTIES:
        raise RequestMalformed("say for whom you act")


def _demand_room(here: Service, asker: str) -> None:
    """Raises: AskedTooOften."""
    every = RateLimitItemPerDay(here.settings.self_service)
    if not here.limiter.hit(EACH_HOUR, "opt-out", asker) or not here.limiter.hit(every, "opt-outs"):
        raise AskedTooOften("too many opt-outs of people without a key came in; try again later")


def _new_owner(draft: Draft, fields: Fields) -> str:
    """What somebody new is called: nobody speaks for another by knowing a name."""
    return f"{safe_text(fields['who'], MAX_WHO)}, {draft.folder.name[:8]}"


def _newcomer(here: Service, draft: Draft, fields: Fields, owner: str) -> Speaker:
    """The party of somebody new, and a key for their pages; both are found again after a crash."""
    app, died_on = here.app, fields["died_on"].strip()
    party = _party(here, fields, owner, died_on if fields["whom"] == "represented" else "")
    for one in apikeys.list_keys(app.engine, account=owner):
        return Speaker(owner=owner, key=one.id, party=party.id)
    made, _ = apikeys.create(
        app.engine,
        owner,
        safe_text(fields["who"], MAX_WHO),
        (auth.HOLDER,),
        random=draft.key_bytes,
        now=clock(),
    )
    return Speaker(owner=owner, key=made.id, party=party.id)


def _party(here: Service, fields: Fields, owner: str, died_on: str) -> Party:
    try:
        return parties.find(here.app.engine, owner)
    except NotFound:
        kind = fields["party"] if fields["party"] in PARTIES else "person"
        of = Estate(deceased=fields["name"].strip(), died_on=died_on) if died_on else None
        return parties.add(
            here.app.engine, owner, "estate" if of else kind, of=of, now=clock(),
            sign_checkpoint=here.app.signer,
        )  # fmt: skip


def _filing(fields: Fields, speaker: Speaker) -> Filing:
    said = dict.fromkeys(DECLARATIONS, "yes")
    said |= {
        name: text for name, text in (("name", fields["who"]), ("email", fields["email"])) if text.strip()
    }
    kind = "likeness" if fields.kind == "person" else "opt_out"
    assert speaker.party is not None  # noqa: S101 - the caller asked
    return Filing(by=speaker.party, kind=kind, statements=said, signature=fields["signature"].strip())


def _done(receipts: list[Receipt], speaker: Speaker, fields: Fields, *, own_key: bool) -> dict[str, Any]:
    told = [optouts.tell(one, optouts.ACTIVE) for one in receipts]
    first = receipts[0]
    return {
        "first": {name: told[0][name] for name in ("subject", "name", "seq", "at", "new", "notes")},
        "standing": first.standing, "due_at": first.due_at, "receipts": told, "key": speaker.key,
        "own_key": own_key, "mode": fields["mode"] or "block", "purposes": list(fields.purposes),
        "owner": speaker.owner, "catalogue": len(receipts) > 1,
    }  # fmt: skip
