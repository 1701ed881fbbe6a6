"""The `countermark` command. What a command needs beyond reading is imported when it runs, not before."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Final

# Two threads of linear algebra beside an encoder on a small machine are slower than one; before numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer

from pipeline.cli import (
    apikeys,
    bench,
    calibrate,
    case,
    check,
    claim,
    compliance,
    consent,
    create,
    delegation,
    demo,
    evidence,
    export,
    gate,
    guard,
    imports,
    keys,
    licence,
    log,
    optout,
    optout_extend,
    optout_try,
    output,
    party,
    permission,
    reference,
    release,
    restore,
    retroscan,
    rule,
    serve,
    simulate,
    spaces,
    statements,
    training,
    verify,
    webhook,
    worker,
)

BENCH_OPTIONS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="countermark",
    help="Marks, signs and releases clips of a text-to-video generator; verifies any clip.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("create")(output.command(create.create))
app.command("guard")(output.command(guard.guard))
app.command("gate", cls=gate.GateCommand)(output.command(gate.gate))
app.command("check")(output.command(check.check))
app.command("verify")(output.command(verify.verify))
app.command("compliance")(output.command(compliance.compliance))
app.command("simulate")(output.command(simulate.simulate))
app.command("demo")(output.command(demo.demo))
app.command("calibrate")(output.command(calibrate.calibrate))
app.command("bench", context_settings=BENCH_OPTIONS)(output.command(bench.bench))
optout.app.command("extend")(output.command(optout_extend.extend))
optout.app.command("try")(output.command(optout_try.try_optout))
app.add_typer(optout.app, name="optout")
app.command("export")(output.command(export.export))
app.add_typer(imports.app, name="import")
app.add_typer(reference.app, name="reference")
app.add_typer(licence.app, name="licence")
app.add_typer(spaces.app, name="spaces")
app.add_typer(rule.app, name="rule")
app.add_typer(permission.app, name="permission")
app.add_typer(consent.app, name="consent")
app.add_typer(party.app, name="party")
app.add_typer(delegation.app, name="delegation")
app.add_typer(claim.app, name="claim")
app.add_typer(log.app, name="log")
app.command("evidence")(output.command(evidence.evidence))
app.add_typer(retroscan.app, name="retroscan")
app.add_typer(case.app, name="case")
app.add_typer(webhook.app, name="webhook")
app.add_typer(release.app, name="release")
app.command("restore")(output.command(restore.restore))
app.command("statements")(output.command(statements.statements))
app.command("serve")(output.command(serve.serve))
app.command("worker")(output.command(worker.worker))
app.add_typer(training.app, name="training")
app.add_typer(keys.app, name="keys")
app.add_typer(apikeys.app, name="apikeys")


def main() -> None:
    """Run a command; it exits with 0 nothing wrong, 1 found something, 2 usage, 3 could not."""
    if not _names_are_ours():
        output.say("countermark: another package called `watermark` hides ours; run: pip uninstall watermark")
        sys.exit(output.COULD_NOT)
    app()


def _names_are_ours() -> bool:
    """PyPI has another package called `watermark`; say so instead of failing somewhere inside it."""
    ours = Path(__file__).resolve().parents[2]
    spec = importlib.util.find_spec("watermark")
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve().is_relative_to(ours)


if __name__ == "__main__":
    main()
