"""`countermark permission`: holders answer the jobs that wait for them."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import output, speaking, use_options
from pipeline.cli.release_words import observer, say_resumed
from pipeline.settings import load

if TYPE_CHECKING:
    from pipeline.app import App
    from registry.permissions import Permission

app = typer.Typer(help="Requests for permission: list, show, approve, refuse, expire.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The request's id, as `list` shows it.", show_default=False)]


@app.command("list")
@output.command
def list_permissions(
    state: Annotated[
        str | None, typer.Option(help="Only: asked, approved, refused or expired; default: all.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Requests, oldest first."""
    from pipeline.app import open_app
    from pipeline.errors import UsageError
    from registry import permissions

    if state not in (None, *permissions.STATES):
        raise UsageError(f"there is no state {state!r}; choose one of: {', '.join(permissions.STATES)}")
    found: list[Permission] = []
    with open_app(load(home)) as opened:
        while page := permissions.list_permissions(
            opened.engine, state=state, after=found[-1].id if found else ""
        ):
            found += page
    for one in found:
        output.say(f"  {one.id} {one.state}: {_told(one)}; until {one.due_at}")
    if as_json:
        output.answer([permissions.document(one) for one in found])
    return output.OK


@app.command("show")
@output.command
def show(permission: Id, home: output.Home = None, as_json: output.AsJson = False) -> int:
    """One request: who asks, what for, the prompt, and the clip as far as it was made."""
    from pipeline.app import open_app
    from pipeline.home import Home
    from registry import permissions, subjects

    settings = load(home)
    with open_app(settings) as opened:
        one = permissions.get(opened.engine, permission)
        record = subjects.get(opened.engine, one.subject_id)
    staged = Home(settings.home).files / "staging" / one.job_id / one.preview
    preview = str(staged) if one.preview and staged.is_file() else None
    name = record.name if record else one.subject_id
    output.say(f"{one.id} {one.state}: {_told(one)}", style="bold")
    output.say(f"  about {name}, asked {one.asked_at}, to be answered until {one.due_at}")
    output.say(f"  prompt: {one.prompt or '(none came with the clip)'}")
    output.say(f"  clip: {preview or '(not made yet, or gone)'}")
    if as_json:
        output.answer(permissions.document(one) | {"name": name, "preview": preview})
    return output.OK


@app.command("approve")
@output.command
def approve(
    permission: Id,
    account: Annotated[
        bool, typer.Option("--account", help="The account, from now on (a licence); default: this job alone.")
    ] = False,
    until: use_options.Until = None,
    region: use_options.Regions = None,
    purpose: use_options.Purposes = None,
    content: use_options.Contents = None,
    intent: use_options.Intent = "",
    cap_account: use_options.CapAccount = None,
    cap_all: use_options.CapAll = None,
    credit: use_options.Credit = "",
    reference: use_options.Reference = "",
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Approve. When all holders who were asked have, the job goes on, and is judged anew."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import permissions

    conditions = use_options.conditions_of(
        region, purpose, content, intent, cap_account=cap_account, cap_all=cap_all, credit=credit,
        reference=reference,
    )  # fmt: skip
    approval = permissions.Approval(
        scope=permissions.ACCOUNT if account else permissions.ONCE, conditions=conditions, valid_until=until
    )
    with open_app(load(home)) as opened:
        one = permissions.approve(
            opened.engine, permission, approval, by=speaking.party_of(opened.engine, by), now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
        output.say(f"Approved: {_told(one)}.")
        state = _go_on(opened, one)
    if as_json:
        output.answer(permissions.document(one) | {"job_state": state})
    return output.OK


@app.command("refuse")
@output.command
def refuse(
    permission: Id,
    why: Annotated[str, typer.Option(help="For the private part of the log.")] = "",
    by: speaking.By = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Refuse: the job is refused, and nothing of it leaves."""
    from pipeline.app import open_app
    from pipeline.clock import clock
    from registry import permissions

    with open_app(load(home)) as opened:
        one = permissions.refuse(
            opened.engine, permission, why=why, by=speaking.party_of(opened.engine, by), now=clock(),
            sign_checkpoint=opened.signer,
        )  # fmt: skip
        state = str(opened.job(one.job_id).state)
    output.say(f"Refused: {_told(one)}. The job is {state}.")
    if as_json:
        output.answer(permissions.document(one) | {"job_state": state})
    return output.OK


@app.command("expire")
@output.command
def expire(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """Take requests whose time is over for refused; `create`, `guard` and `serve` do so by themselves."""
    from pipeline.app import open_app
    from registry import permissions

    with open_app(load(home)) as opened:
        ended = opened.expire_permissions()
    output.say(f"{len(ended)} requests were not answered in time, and are refused.")
    if as_json:
        output.answer([permissions.document(one) for one in ended])
    return output.OK


def _go_on(opened: "App", one: "Permission") -> str:
    """Go on with what is open, as `create` does first; the state of the job that was asked about."""
    with output.bar("going on") as bar:
        for resumed in opened.resume(observer(bar)):
            say_resumed(resumed, opened.settings)
    state = opened.job(one.job_id).state
    output.say(f"The job is {state}.")
    return str(state)


def _told(one: "Permission") -> str:
    what: Any = f" for {one.purpose}" if one.purpose else ""
    return f"{one.account} asks to {one.intent}{what}"
