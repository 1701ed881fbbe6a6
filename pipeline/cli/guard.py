"""`countermark guard`: a clip made elsewhere becomes a release."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import output
from pipeline.policy import PRESETS, Sound
from pipeline.settings import load


def guard(
    clip: Annotated[Path, typer.Argument(help="The clip: MP4, MOV, WebM, MKV or GIF.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where the released MP4 goes; default: in the home only."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help=f"Policy preset: {' or '.join(PRESETS)}; default: the setting `policy`."),
    ] = None,
    audio: Annotated[
        Sound, typer.Option(help="What to do with sound, which no check listens to.")
    ] = Sound.HOLD,
    prompt: Annotated[
        str | None, typer.Option(help="The prompt that the clip was made from, if known.")
    ] = None,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Mark a clip visibly and invisibly, sign it, and release it, or say why not."""
    from pipeline.app import GuardOrder, deliver, open_app

    settings = load(home)
    if out is not None:
        output.check_target(out, clip)
    with open_app(settings) as app, output.bar("opening") as bar:

        def observe(step: str, event: str, value: float) -> None:
            if event == "begin":
                bar.step(step)
            elif event == "progress":
                bar.at(value)

        for resumed in app.resume(observe):
            output.say(_told(resumed))
        order = GuardOrder(source=clip, policy=policy or settings.policy, sound=audio, prompt=prompt)
        outcome = app.guard(order, observe)
        if outcome.file is not None and out is not None:
            deliver(outcome.file, out)
    document = _document(outcome, out)
    _say(document)
    if as_json:
        output.answer(document)
    return output.OK if outcome.release else output.FOUND


def _told(resumed: Any) -> str:
    what = f"The interrupted job {resumed.job.id} on {resumed.job.inputs.get('name', 'a clip')}"
    if resumed.error:
        return f"{what} could not be finished: {resumed.error}"
    if resumed.outcome.release:
        return f"{what} was finished: release {resumed.outcome.release.id}, file {resumed.outcome.file}"
    reasons = " ".join(reason["detail"] for reason in resumed.outcome.held)
    return f"{what} is {resumed.outcome.job.state}, nothing of it was released: {reasons}"


def _document(outcome: Any, out: Path | None) -> dict[str, Any]:
    decision = dict(outcome.decision or {"verdict": "review", "reasons": [], "registry_seq": 0})
    if outcome.release is None and outcome.held:
        decision["reasons"] = list(outcome.held)
        if decision["verdict"] == "allow":  # allowed by the policy, held by a later step
            decision["verdict"] = "review"
    release = outcome.release and {
        "id": outcome.release.id, "payload": outcome.release.payload, "urn": outcome.release.urn,
        "file": str(out or outcome.file), "sha256": outcome.release.file_sha256,
    }  # fmt: skip
    return {"decision": decision, "release": release, "stages": outcome.stages}


def _say(document: dict[str, Any]) -> None:
    release = document["release"]
    if release:
        output.say(f"Released {release['id']}: {release['file']}", style="bold")
        checks = document["decision"].get("checks", {})
        silent = [name for name, state in checks.items() if state in ("not_configured", "not_checked")]
        if silent:
            output.say(f"Not checked: {', '.join(silent)}.")
        return
    word = "Refused" if document["decision"]["verdict"] == "block" else "Held"
    output.say(f"{word}: nothing was released.", style="bold")
    for reason in document["decision"]["reasons"]:
        output.say(f"  {reason['detail']}")
    if any(reason["code"] == "check_not_configured" for reason in document["decision"]["reasons"]):
        output.say("  To mark and sign without checking the content, name --policy marks-only.")
