"""What `create` and `guard` say: progress, jobs that were gone on with, and how a job ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.appeals import of_job
from pipeline.cli import output
from pipeline.settings import Settings
from pipeline.telling import line_of


def observer(bar: output.Bar) -> Callable[[str, str, float], None]:
    """Shows the steps of a job on `bar`."""

    def observe(step: str, event: str, value: float) -> None:
        if event == "begin":
            bar.step(step)
        elif event == "progress":
            bar.at(value)

    return observe


def say_resumed(resumed: Any, settings: Settings) -> None:
    """One sentence about a job that was interrupted before."""
    output.say(_told(resumed, settings))


def say_outcome(outcome: Any, out: Path | None, settings: Settings, *, as_json: bool) -> int:
    """Tell how a job ended, and whom to turn to where nothing was released; the exit code."""
    document = _document(outcome, out, settings)
    _say(document)
    if as_json:
        output.answer(document)
    return output.OK if outcome.release else output.FOUND


def _told(resumed: Any, settings: Settings) -> str:
    what = f"The interrupted job {resumed.job.id} on {resumed.job.inputs.get('name', 'a prompt')}"
    if resumed.error:
        return f"{what} could not be finished: {resumed.error}"
    if resumed.outcome.release:
        return f"{what} was finished: release {resumed.outcome.release.id}, file {resumed.outcome.file}"
    reasons = " ".join(line_of(reason) for reason in resumed.outcome.held)
    objection = of_job(settings.contact, resumed.job.id)
    return f"{what} is {resumed.outcome.job.state}, nothing of it was released: {reasons} {objection}"


def _document(outcome: Any, out: Path | None, settings: Settings) -> dict[str, Any]:
    decision = dict(outcome.decision or {"verdict": "review", "reasons": [], "registry_seq": 0})
    if outcome.release is None and outcome.held:
        decision["reasons"] = list(outcome.held)
        if decision["verdict"] == "allow":  # allowed by the policy, held by a later step
            decision["verdict"] = "review"
    release = outcome.release and {
        "id": outcome.release.id, "payload": outcome.release.payload, "urn": outcome.release.urn,
        "file": str(out or outcome.file), "sha256": outcome.release.file_sha256,
    }  # fmt: skip
    appeal = None if release else of_job(settings.contact, outcome.job.id)
    return {"decision": decision, "release": release, "appeal": appeal, "stages": outcome.stages}


def _say(document: dict[str, Any]) -> None:
    release = document["release"]
    if release:
        output.say(f"Released {release['id']}: {release['file']}", style="bold")
        checks = document["decision"].get("checks", {})
        silent = [name for name, state in checks.items() if state in ("not_configured", "not_checked")]
        if silent:
            output.say(f"Not checked: {', '.join(silent)}.")
        if checks.get("audio") == "stripped":
            output.say("The sound was taken out, since nobody listened to it; --audio accept keeps it.")
        return
    word = "Refused" if document["decision"]["verdict"] == "block" else "Held"
    output.say(f"{word}: nothing was released.", style="bold")
    for reason in document["decision"]["reasons"]:
        output.say(f"  {line_of(reason)}")
    output.say(f"  {document['appeal']}")
    if any(reason["code"] == "check_not_configured" for reason in document["decision"]["reasons"]):
        output.say("  To mark and sign without checking the content, name --policy marks-only.")
