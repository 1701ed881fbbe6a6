"""`countermark restore`: what has to happen once after a home was brought back from a backup."""

from dataclasses import asdict

from pipeline.cli import output
from pipeline.settings import load


def restore(home: output.Home = None, as_json: output.AsJson = False) -> int:
    """After a backup was brought back, and before anything else runs: check it, and skip used payloads.

    It recomputes the log, looks for every released file and manifest, and makes sure that no payload that was
    given out after the backup is given to another clip. Running it again does no harm.
    """
    from pipeline.app import open_app
    from pipeline.restoring import restored

    with open_app(load(home)) as opened:
        found = restored(opened.engine, opened.store)
    output.say(f"The log is whole: {found.entries:,} entries, {found.releases:,} releases.", style="bold")
    for what, lacking in (("file", found.without_file), ("manifest", found.without_manifest)):
        for release in lacking:
            output.say(f"  release {release} has no {what}: put it back from another copy")
    output.say("Whatever was decided after the backup is not known here: opt-outs have to be made again.")
    if as_json:
        output.answer(asdict(found))
    return output.FOUND if found.without_file or found.without_manifest else output.OK
