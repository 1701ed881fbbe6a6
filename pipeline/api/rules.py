"""Rules of an account's own opt-outs over HTTP: listed, added, ended, and tried on what is out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from pipeline import auth
from pipeline.api import shapes_rules as shapes
from pipeline.api.cases import After, Limit
from pipeline.api.optouts import own_optout
from pipeline.api.state import Here, Service, caller_with
from pipeline.auth import Caller
from pipeline.clock import clock
from pipeline.errors import RequestMalformed, RouteUnknown
from pipeline.simulate import Wanted
from pipeline.types import Json
from registry import receipts, rules
from registry.db import read
from registry.rules import Listed
from registry.subject_types import RuleRow
from registry.vocabulary import Conditions

router = APIRouter(tags=["rules"])

Holder = Annotated[Caller, Depends(caller_with(auth.OPTOUT))]


@router.get("/v1/optouts/{subject_id}/rules", response_model=shapes.RulesAnswer)
def get_rules(
    subject_id: str, here: Here, caller: Holder, after: After = "", limit: Limit = 50, ended: bool = False
) -> JSONResponse:
    """The rules and licences of an opt-out of this account that are in force, oldest first; with `ended` also
    those of the past.
    """
    record = own_optout(here, subject_id, caller)
    found = rules.of_subject(here.app.engine, record.id, ended=ended, after=after, limit=limit)
    last = found[-1].rule.id if len(found) == limit else None
    inherited = [rules.document(row) for row in record.inherited]
    return JSONResponse({"rules": [_told(one) for one in found], "inherited": inherited, "after": last})


@router.post(
    "/v1/optouts/{subject_id}/rules", status_code=201, response_model=shapes.RuleMade,
    responses={200: {"model": shapes.RuleMade, "description": "The same rule is in force already."}},
)  # fmt: skip
async def post_rule(subject_id: str, asked: shapes.RuleRequest, here: Here, caller: Holder) -> JSONResponse:
    """Add a rule, or a licence. When this answers it is in force, in every process; what is out and would not
    be let out now is withdrawn.
    """

    def work() -> tuple[Json, bool]:
        record = own_optout(here, subject_id, caller)
        wanted = _wanted(asked, record.id)
        known = [row.id for row in record.rules if _same(row, wanted)]
        rule_id = known[0] if known else _add(here, wanted)
        return _made(here, record.id, rule_id), not known

    told, new = await here.wishes.run(work)
    here.scan_soon()
    return JSONResponse(told, 201 if new else 200)


@router.post("/v1/optouts/{subject_id}/rules/{rule_id}/end", response_model=shapes.RuleMade)
async def post_end(subject_id: str, rule_id: str, here: Here, caller: Holder) -> JSONResponse:
    """Take a rule or a licence out of force: what left under it, and would not be let out now, is withdrawn.
    A second time does nothing.
    """

    def work() -> Json:
        record = own_optout(here, subject_id, caller)
        found = _rule(here, record.id, rule_id)
        end = rules.revoke_licence if found.rule.licence else rules.unset_rule
        end(here.app.engine, found.rule.id, now=clock(), sign_checkpoint=here.app.signer)
        return _made(here, record.id, rule_id)

    told = await here.wishes.run(work)
    here.scan_soon()
    return JSONResponse(told)


@router.post("/v1/optouts/{subject_id}/simulate", response_model=shapes.SimulationAnswer)
async def post_simulate(
    subject_id: str, asked: shapes.SimulationRequest, here: Here, caller: Holder
) -> JSONResponse:
    """What a rule would make of released clips; nothing is written. Clips that never left are nobody's
    business but their makers', and left out.
    """

    def work() -> Json:
        record = own_optout(here, subject_id, caller)
        report = here.app.simulate(
            Wanted(
                rule=(record.id, asked.effect), account=asked.account, since=asked.since, limit=asked.limit,
                released_only=True,
            )
        )  # fmt: skip
        changed: list[Json] = [
            {"before": before, "after": after, "count": count}
            for (before, after), count in sorted(report.outcomes.items()) if before != after
        ]  # fmt: skip
        examples: list[Json] = [
            {"release": one.id, "before": one.before, "after": one.after} for one in report.examples
        ]
        return {"compared": report.compared, "changed": [*changed], "examples": [*examples]}

    return JSONResponse(await here.views.run(work))


def _wanted(asked: shapes.RuleRequest, subject: str) -> RuleRow:
    """The rule as it would be set. Raises: RequestMalformed."""
    if asked.licence and (asked.effect != "allow" or asked.account is None or asked.priority):
        raise RequestMalformed("a licence is an allow for one account, without a priority; name the account")
    told: dict[str, Any] = asked.conditions.model_dump()
    lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    return RuleRow(
        id="", subject=subject, effect=asked.effect, account=asked.account, valid_from=asked.valid_from,
        valid_until=asked.valid_until, priority=asked.priority, licence=asked.licence,
        conditions=Conditions(**told | lists),
    )  # fmt: skip


def _same(row: RuleRow, wanted: RuleRow) -> bool:
    return rules.document(row) == rules.document(wanted) | {"rule": row.id}


def _add(here: Service, wanted: RuleRow) -> str:
    """Set it; its id. Raises: OptOutInvalid, NotFound."""
    told: dict[str, Any] = {
        "valid_from": wanted.valid_from, "valid_until": wanted.valid_until, "conditions": wanted.conditions,
        "now": clock(), "sign_checkpoint": here.app.signer,
    }  # fmt: skip
    engine, subject = here.app.engine, wanted.subject
    if wanted.licence and wanted.account is not None:
        return rules.grant_licence(engine, subject, wanted.account, **told).id
    told |= {"account": wanted.account, "priority": wanted.priority}
    return rules.set_rule(engine, subject, wanted.effect, **told).id


def _rule(here: Service, subject: str, rule_id: str) -> Listed:
    """A rule of the subject, of whatever time. Raises: RouteUnknown."""
    found = rules.find(here.app.engine, rule_id)
    if found is None or found.rule.subject != subject:
        raise RouteUnknown("this opt-out has no such rule; check its id")
    return found


def _made(here: Service, subject: str, rule_id: str) -> Json:
    found = _rule(here, subject, rule_id)
    with read(here.app.engine) as conn:
        receipt = receipts.of_rule(conn, rule_id, removed=found.ended_seq is not None)
    return _told(found) | {"receipt": receipt}


def _told(one: Listed) -> Json:
    return rules.document(one.rule) | {"seq": one.seq, "ended_seq": one.ended_seq}
