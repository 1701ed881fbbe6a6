"""`countermark verify`: any file becomes a verification report; folders and patterns become many."""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.cli.report_words import left_out
from pipeline.cli.verify_files import Chosen, choose
from pipeline.cli.verify_outlets import Outlets, Signing, Targets, signing_of
from pipeline.errors import UsageError
from pipeline.settings import load
from pipeline.types import Evidence, FileVerdict
from pipeline.verify.examining import Examined, Wanted, examine, lost
from pipeline.verify.local import Verifier
from pipeline.verify.many import Desk, examine_many
from pipeline.verify.opening import open_local

MAX_JOBS: Final = 64


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files, folders, quoted patterns ('clips/*.mp4').", show_default=False),
    ],
    trust: Annotated[
        Path | None,
        typer.Option(help="Verifier bundle (from `keys export-verifier`) instead of the home's keys."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report to this file.")] = None,
    signed: Annotated[
        Path | None, typer.Option(help="Also write signed JSON to this file, one line for each file.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Of a folder, also what lies in its subfolders.")
    ] = False,
    suffix: Annotated[
        list[str] | None, typer.Option(help="Of a folder, files with this suffix only; repeatable.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_JOBS, help="Files at a time; default: one for each processor core."),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON document for each file, as soon as it is done.")
    ] = False,
    home: output.Home = None,
    as_json: output.AsJson = False,
) -> int:
    """Look for credential, hidden mark, visible mark and log entry, offline; say what they add up to."""
    settings = load(home)
    targets = Targets(page=report, signed=signed, as_json=as_json, as_lines=jsonl)
    _check(targets)
    chosen = choose(files, recursive=recursive, suffixes=suffix or ())
    for target in (report, signed):
        if target is not None:
            output.check_target(target, *chosen.files)
    desk = Desk(
        settings=settings, bundle=trust,
        wanted=Wanted(pictures=targets.pictures(len(chosen.files)), digest=targets.states),
    )  # fmt: skip
    left_out(chosen.left)
    return _run(desk, chosen, targets, jobs or _cores())


def _check(targets: Targets) -> None:
    if targets.as_json and targets.as_lines:
        raise UsageError("--json prints one document and --jsonl many; choose one of them")
    if targets.page is not None and targets.page == targets.signed:
        raise UsageError("--report and --signed name the same file; name two")


def _cores() -> int:
    return max(1, min(len(os.sched_getaffinity(0)), MAX_JOBS))


def _run(desk: Desk, chosen: Chosen, targets: Targets, jobs: int) -> int:
    paths = [*chosen.files, *(path for path, _ in chosen.unlisted)]
    signing = signing_of(desk.settings, desk.bundle) if targets.states else Signing()
    broken_off = False
    with Outlets(settings=desk.settings, targets=targets, paths=paths, signing=signing) as outlets:
        try:
            with closing(_examined(desk, chosen, jobs)) as answers:
                for path, answer in zip(paths, answers, strict=True):
                    with _whole():
                        outlets.take(path, answer)
        except KeyboardInterrupt:
            broken_off = True
            done = outlets.tally.count
            output.say(f"Broken off: {done} of {len(paths)} files were verified; what follows is of those.")
        outlets.finish()
        return output.INTERRUPTED if broken_off else outlets.tally.worst


@contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C waits until the block has ended, so that no outlet has a file that another one lacks."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _examined(desk: Desk, chosen: Chosen, jobs: int) -> Generator[Examined]:
    """One answer for each file, in order, then one for each folder or entry that could not be read."""
    with open_local(desk.settings, desk.bundle) as verifier:  # also where others do the work: it may refuse
        if verifier.interrupted:
            output.say(
                f"{verifier.interrupted} interrupted jobs wait in the home; the next guard goes on with them."
            )
        if len(chosen.files) == 1:
            yield _alone(verifier, chosen.files[0], desk.wanted)
        elif jobs == 1:
            yield from _in_turn(verifier, chosen.files, desk.wanted)
    if len(chosen.files) > 1 and jobs > 1:
        yield from _side_by_side(desk, chosen.files, min(jobs, len(chosen.files)))
    for path, why in chosen.unlisted:
        yield Examined(report=lost(path, why, FileVerdict.UNREADABLE))


def _alone(verifier: Verifier, path: Path, wanted: Wanted) -> Examined:
    with output.bar("verifying") as bar:

        def tell(line: str, evidence: Evidence | None) -> None:
            if evidence is None:
                bar.step(f"{path.name}: {line.replace('_', ' ')}")

        return examine(verifier, path, wanted, progress=bar.at, tell=tell)


def _in_turn(verifier: Verifier, paths: list[Path], wanted: Wanted) -> Iterator[Examined]:
    with output.files_bar("verifying", len(paths)) as bar:
        for done, path in enumerate(paths, 1):
            yield examine(verifier, path, wanted)
            bar.at(done, len(paths))


def _side_by_side(desk: Desk, paths: list[Path], jobs: int) -> Iterator[Examined]:
    with output.files_bar("verifying", len(paths)) as bar:
        done = 0

        def told() -> None:
            nonlocal done
            done += 1
            bar.at(done, len(paths))

        yield from examine_many(desk, paths, jobs=jobs, told=told)
