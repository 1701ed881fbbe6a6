"""`countermark samples`: released clips, copies of them, and the answers to expect, for who tests a client.

Everything is drawn and released on this machine, offline. What a copy must lead to follows from how it was
made; before the answers are written down, each is asked here, and one that differs is an error.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli import output
from pipeline.settings import FILE, Settings, load

if TYPE_CHECKING:
    from pipeline.app import App
    from pipeline.media.types import MediaLimits
    from pipeline.verify.local import Verifier
    from registry.types import Release

MARKER: Final = ".countermark-samples"
FORMAT: Final = "countermark-samples/1"
MARKS_ONLY: Final = "marks-only"
SETTINGS: Final = f'policy = "{MARKS_ONLY}"\npreset = "veryfast"\n'
SECONDS: Final = 3.0
PROMPTS: Final = (("fox", "a red fox walking in the snow"), ("robot", "a blue robot dancing on the beach"))
DRAWN: Final = "Tovik Brandle"  # a character of the embedded generator, with an invented name
NOBODYS: Final = "EAAAAAAAAAE="  # a payload that was never minted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """A release, what it is called, and where a client finds its file."""

    name: str
    release: "Release"
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A file, how it came about, and the samples that it must lead to."""

    file: Path
    kind: str
    story: str
    leads_to: tuple[_Sample, ...] = ()


def samples(
    out: Annotated[Path, typer.Option(help="Folder for the home, the files and the answers.")] = Path(
        "samples-out"
    ),
) -> int:
    """Fill a home with released clips, and write down what a client of the resolution API must find."""
    from pipeline.app import open_app

    began = time.monotonic()
    output.fresh_folder(out, MARKER, "an earlier run")
    home, files = out / "home", out / "files"
    for folder in (home, files):
        folder.mkdir(mode=0o700)
    (home / FILE).write_text(SETTINGS, encoding="utf-8")
    settings = load(home)
    with open_app(settings) as app:
        output.say("Three clips are drawn, marked, signed and released; one is withdrawn afterwards.")
        made = [*_released(app, files)]
        copies = [*_copies(settings, files, made)]
        gone = made[1]
        app.withdraw(gone.release.id, "an example of a withdrawn release")
    bindings = [*_bindings(made)]
    wrong = _wrong(settings, copies, bindings)
    document = {
        "format": FORMAT, "c2paSpecificationVersion": "2.4.0", "serve": "countermark serve --home home",
        "manifests": [_told(settings, sample, withdrawn=sample is gone) for sample in made],
        "byContent": [_question(out, copy) for copy in copies], "byBinding": bindings,
        "refused": REFUSED,
    }  # fmt: skip
    (out / "expected.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    output.say(f"{len(copies)} files and {out / 'expected.json'}, in {time.monotonic() - began:.0f} s.")
    output.say(f"Now run: countermark serve --home {home}")
    return output.FOUND if wrong else output.OK


REFUSED: Final[list[dict[str, Any]]] = [
    {"method": "GET", "path": "/v1/matches/byBinding?alg=com.example.mark.1&value=AAAA", "status": 400},
    {"method": "GET", "path": "/v1/matches/byBinding?alg=org.countermark.watermark.1&value=!", "status": 400},
    {"method": "GET", "path": f"/v1/matches/byBinding?alg=x&value={'A' * 5000}", "status": 414},
    {"method": "POST", "path": "/v1/matches/byContent", "type": "audio/mpeg", "body": "x", "status": 415},
    {"method": "POST", "path": "/v1/matches/byReference", "type": "application/json", "body": "{}",
     "status": 404},
    {"method": "GET", "path": "/v1/manifests/urn:c2pa:00000000-0000-4000-8000-000000000000", "status": 404},
]  # fmt: skip


def _released(app: "App", files: Path) -> Iterator[_Sample]:
    from pipeline.cli.demo_cast import character_clip
    from pipeline.orders import CreateOrder, GuardOrder
    from pipeline.policy import Sound

    for seed, (name, prompt) in enumerate(PROMPTS):
        order = CreateOrder(
            prompt=prompt, policy=MARKS_ONLY, generator="embedded", seconds=SECONDS, seed=seed
        )
        yield _sample(name, app.create(order, _silent), files)
    source = character_clip(DRAWN, files / "character-unmarked.mp4")
    brought = GuardOrder(source=source, policy=MARKS_ONLY, sound=Sound.STRIP)
    yield _sample("character", app.guard(brought, _silent), files)


def _silent(_step: str, _event: str, _value: float) -> None:
    """An observer of jobs that has nothing to say."""


def _sample(name: str, outcome: Any, files: Path) -> _Sample:
    """Raises: Refused."""
    from pipeline.delivery import deliver
    from pipeline.errors import Refused

    if outcome.release is None or outcome.file is None:
        raise Refused(f"the sample {name} was not released; look at the settings of the environment")
    file = files / f"{name}.mp4"
    deliver(outcome.file, file)
    return _Sample(name=name, release=outcome.release, file=file)


def _copies(settings: Settings, files: Path, samples: list[_Sample]) -> Iterator[_Copy]:
    from pipeline.cli import samples_copies as made
    from pipeline.media.limits import media_limits
    from pipeline.media.reader import open_clip

    limits = media_limits(settings)
    fox, robot, character = samples
    for sample in samples:
        yield _Copy(file=sample.file, kind="video/mp4", story="as released", leads_to=(sample,))
    yield from _changed(files, limits, fox, robot)
    with open_clip(character.file, limits=limits) as clip:
        host = made.landscape(files / "landscape.mp4", clip.info, SECONDS, seed=11)
    yield _Copy(file=host, kind="video/mp4", story="never released")
    plain = files / "character-unmarked.mp4"
    forged = made.transplanted(character.file, plain, host, files / "transplanted.mp4", limits)
    yield _Copy(file=forged, kind="video/mp4", story="the mark of character.mp4 put on landscape.mp4")


def _changed(files: Path, limits: "MediaLimits", fox: _Sample, robot: _Sample) -> Iterator[_Copy]:
    from pipeline.cli import samples_copies as made

    small = made.shrunk(fox.file, files / "fox-shrunk.mp4", limits)
    yield _Copy(
        file=small, kind="video/mp4", story="three quarters of its size, no credential", leads_to=(fox,)
    )
    turned = made.mirrored(fox.file, files / "fox-mirrored.mp4", limits)
    yield _Copy(file=turned, kind="video/mp4", story="left and right swapped, no credential", leads_to=(fox,))
    withdrawn = made.shrunk(robot.file, files / "robot-shrunk.mp4", limits)
    yield _Copy(file=withdrawn, kind="video/mp4", story="of a withdrawn release", leads_to=(robot,))
    picture = made.still(robot.file, files / "robot.jpg", SECONDS / 2, limits)
    yield _Copy(file=picture, kind="image/jpeg", story="a frame of it as a picture", leads_to=(robot,))


def _wrong(settings: Settings, copies: list[_Copy], bindings: list[dict[str, Any]]) -> int:
    """How many copies and values lead elsewhere than they must; each is told."""
    from pipeline.verify.opening import open_local

    wrong = 0
    with open_local(settings) as verifier:
        for copy in copies:
            found, wanted = _found(verifier, copy), [one.release.urn for one in copy.leads_to]
            if found != wanted:
                wrong += 1
                output.say(f"{copy.file.name} ({copy.story}): expected {wanted}, found {found}", style="red")
        for told in bindings:
            found, wanted = _bound(verifier, told["alg"], told["value"]), told["matches"]
            if found != wanted:
                wrong += 1
                output.say(f"{told['alg']} {told['value']}: expected {wanted}, found {found}", style="red")
    return wrong


def _bound(verifier: "Verifier", alg: str, value: str) -> list[str]:
    """What a binding leads to."""
    from pipeline.credentials import softbinding
    from pipeline.verify import resolving
    from pipeline.verify.resolving_index import Index
    from watermark.payload import as_hex

    lookup, content = verifier.lookup, softbinding.decode_value(value)
    if lookup is None or content is None:
        return []
    if alg == softbinding.WATERMARK_ALGORITHM:
        payload = softbinding.decode_payload(value)
        release = None if payload is None else lookup.find(payload=as_hex(payload))
        return [] if release is None else [release.urn]
    search = Index.of(verifier.settings, lookup)
    return [match.urn for match in search.value(resolving.query_of(content), 10)]


def _found(verifier: "Verifier", copy: _Copy) -> list[str]:
    from pipeline.verify import resolving
    from pipeline.verify.resolving_index import Index

    if verifier.lookup is None:
        return []
    search, asked = Index.of(verifier.settings, verifier.lookup), resolving.Asked(most=10)
    if copy.kind.startswith("image/"):
        matches = resolving.by_picture(search, copy.file, asked, lambda _fingerprint: None)
    else:
        matches = resolving.by_clip(verifier, search, copy.file, asked, lambda _fingerprint: None)
    return [match.urn for match in matches]


def _told(settings: Settings, sample: _Sample, *, withdrawn: bool) -> dict[str, Any]:
    from pipeline.storage import open_store
    from registry.store import Area

    release = sample.release
    store = open_store(settings).check(Area.MANIFESTS, release.manifest_sha256).read_bytes()
    return {
        "name": sample.name, "manifestId": release.urn, "bytes": len(store),
        "sha256": hashlib.sha256(store).hexdigest(), "watermark": _payload(release),
        "fingerprint": _fingerprint(release), "state": "withdrawn" if withdrawn else "released",
        "file": f"/v1/releases/{release.id}/file", "file_status": 410 if withdrawn else 200,
    }  # fmt: skip


def _question(out: Path, copy: _Copy) -> dict[str, Any]:
    return {
        "file": copy.file.relative_to(out).as_posix(), "type": copy.kind, "story": copy.story,
        "matches": [one.release.urn for one in copy.leads_to],
    }  # fmt: skip


def _bindings(samples: list[_Sample]) -> Iterator[dict[str, Any]]:
    from pipeline.credentials.softbinding import FINGERPRINT_ALGORITHM, WATERMARK_ALGORITHM

    for sample in samples:
        release = sample.release
        for alg, value in (
            (WATERMARK_ALGORITHM, _payload(release)), (FINGERPRINT_ALGORITHM, _fingerprint(release)),
        ):  # fmt: skip
            yield {"alg": alg, "value": value, "matches": [release.urn]}
    yield {"alg": WATERMARK_ALGORITHM, "value": NOBODYS, "matches": []}


def _payload(release: "Release") -> str:
    from pipeline.credentials.softbinding import encode_payload

    return encode_payload(int(release.payload, 16))


def _fingerprint(release: "Release") -> str:
    from pipeline.credentials.softbinding import encode_fingerprint
    from pipeline.verify.resolving import stored_print

    return encode_fingerprint(stored_print(bytes(release.fingerprint)).to_bytes())
