"""What the service takes over HTTP: prompts by names and by all checks, opt-outs, verifications.

`countermark serve` runs as a process of its own on a home with many invented names and some descriptions; a
second process asks it over kept connections, and then asks a route of the bare framework that does nothing.
No prompt comes twice, so nothing is answered from a cache. The limits on requests are counted, and set so
high that none is met. Goals are for two free cores.
"""

import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from benchmarks import common
from benchmarks.common import ROOT, Row, once, say
from benchmarks.latency import Server
from benchmarks.tools import index_world, plain_names
from benchmarks.tools.load_driver import Drive, Driven, drive
from generator.base import GenerationRequest
from generator.scene import SceneGenerator
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.media.pictures import BT601_LIMITED, frame_from_rgb
from pipeline.media.types import ClipInfo
from pipeline.media.writer import ClipWriter
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.settings import load
from registry import apikeys

SUITE: Final = "load"
SCOPES: Final = ("moderate", "optout", "verify")
PARTS: Final = ("bare", "names", "descriptions", "optouts", "verify")
START_SECONDS: Final = 60.0
READY_SECONDS: Final = 180.0
FAR: Final = 10_000_000  # requests a minute that nobody makes here
GOALS: Final[dict[str, dict[str, float]]] = {
    "names": {"rate": 200.0, "p99": 50.0},
    "descriptions": {"rate": 40.0, "p99": 150.0},
    "optouts": {"p99": 300.0},
    "described optouts": {"p99": 300.0},
}
SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SAID: Final = (
    "walks in the rain", "sits by the fire", "waves from a train", "looks out over the sea",
    "rides a bicycle", "feeds the birds", "opens an old door", "dances on a roof",
)  # fmt: skip
WHO: Final = ("a farmer", "two children", "an old sailor", "a nurse", "a red fox", "a violin player")
WHERE: Final = ("in winter", "at dawn", "in a small town", "near the harbour", "under tall trees")
LOOKS: Final = (
    "a cape of feathers",
    "one glass eye",
    "a striped hat",
    "boots of copper",
    "a lantern for a head",
)
BOUNDARY: Final = "countermark-load"


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--names", type=common.whole(1), default=100_000, help="names that are registered")
    parser.add_argument(
        "--descriptions", type=common.whole(0), default=200, help="subjects with a description"
    )
    parser.add_argument("--seconds", type=common.whole(1), default=20, help="of each part")
    parser.add_argument("--connections", type=common.whole(1), default=4, help="requests at a time")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    head, rows = common.commit(), common.machine()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        home = Path(folder) / "home"
        secret = prepare(home, given.names, given.descriptions)
        clips = [drawn(Path(folder) / f"{number}.mp4", number) for number in range(8)]
        server = Server(home, home / "serve.log")
        try:
            asked = Drive(
                port=server.port, path="/v1/moderate/prompt", secret=secret, bodies=(),
                connections=given.connections, seconds=float(given.seconds),
            )  # fmt: skip
            say("the models are loaded")
            ready(server)
            for part in given.parts:
                say(part)
                rows += PART[part](asked, clips)
        finally:
            server.process.terminate()
            server.process.wait()
    told = {"names": given.names, "described": given.descriptions, "connections": given.connections}
    rows = [replace(row, conditions={**row.conditions, **told}) for row in rows]
    common.present(SUITE, rows + common.machine(), head, as_json=given.json)


def ready(server: Server) -> None:
    """Wait until the service says that it takes work: until then it loads, beside what is asked of it."""
    until = time.monotonic() + READY_SECONDS
    while server.client().ask("GET", "/readyz", "")[0] != 200:
        if time.monotonic() > until:
            raise SystemExit(f"the service was not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.2)


def prepare(home: Path, names: int, described: int) -> str:
    """A home with names and descriptions, whose limits nobody meets; an API key."""
    home.mkdir(parents=True)
    limits = ("rate_reads", "rate_writes", "rate_moderation", "rate_uploads")
    told = "".join(f"{name} = {FAR}\n" for name in limits)
    (home / "settings.toml").write_text(told + "max_queue = 64\n")
    with open_app(load(home)) as app:
        say(f"{names} names")
        index_world.register_names(app.engine, [one.text for one in plain_names.many(names)])
        say(f"{described} descriptions")
        if described:
            describe(app, described)
        return apikeys.create(app.engine, "bench", "bench", SCOPES, now=clock())[1]


def describe(app: App, count: int) -> None:
    """Register subjects with a description, whose vectors the models make."""
    desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
    rng = random.Random(5)
    names = [one.text for one in plain_names.many(count, seed=77)]
    for name in names:
        desk.register(OptOutOrder(name=name, owner="Studio", description=looks(rng)))


def looks(rng: random.Random) -> str:
    """A description that few share."""
    return f"{rng.choice(WHO)} with {' and '.join(rng.sample(LOOKS, 2))}, who {rng.choice(SAID)}"


def prompts(count: int, seed: int) -> Iterator[str]:
    """Distinct prompts; one in ten names somebody who is registered."""
    rng = random.Random(seed)
    known = [one.text for one in plain_names.many(2000)]
    for number in range(count):
        who = rng.choice(known) if number % 10 == 0 else rng.choice(WHO)
        yield f"{who} {rng.choice(SAID)} {rng.choice(WHERE)}, take {seed}-{number}"


def by_names(asked: Drive, _clips: Sequence[Path]) -> list[Row]:
    """The name layer alone."""
    bodies = [{"prompt": told, "checks": ["prompt_names"]} for told in prompts(60_000, 1)]
    return figures("names", drive(replace(asked, bodies=_json(bodies))))


def by_everything(asked: Drive, _clips: Sequence[Path]) -> list[Row]:
    """All checks of the policy: names, descriptions, unsafe content."""
    bodies = [{"prompt": told} for told in prompts(20_000, 2)]
    return figures("descriptions", drive(replace(asked, bodies=_json(bodies))))


def opted_out(asked: Drive, _clips: Sequence[Path]) -> list[Row]:
    """Opt-outs by name, and by name and description, one after the other."""
    rng, rows = random.Random(11), list[Row]()
    for part, word in (("optouts", "Novum"), ("described optouts", "Recens")):
        forms = []
        for one in plain_names.many(20_000, seed=9):
            told = [("name", None, f"{one.text} {word}".encode())]
            if part != "optouts":
                told.append(("description", None, looks(rng).encode()))
            forms.append(_form(told))
        form = replace(
            asked, path="/v1/optouts", kind=f"multipart/form-data; boundary={BOUNDARY}", good=(200, 201),
            bodies=tuple(forms), connections=1, warm=5,
        )  # fmt: skip
        rows += figures(part, drive(form))
    return rows


def verified(asked: Drive, clips: Sequence[Path]) -> list[Row]:
    """Files that are nobody's, two at a time."""
    bodies = tuple(_form([("file", clip.name, clip.read_bytes())]) for clip in clips) * 50
    form = replace(
        asked, path="/v1/verify", kind=f"multipart/form-data; boundary={BOUNDARY}", bodies=bodies,
        connections=2, warm=2,
    )  # fmt: skip
    return figures("verify", drive(form))


def bare(asked: Drive, _clips: Sequence[Path]) -> list[Row]:
    """The framework alone, with a route that reads the same JSON and answers as little."""
    bodies = _json([{"prompt": told} for told in prompts(60_000, 3)])
    with bare_server() as port:
        return figures("bare", drive(replace(asked, port=port, path="/bare", secret="", bodies=bodies)))


PART: Final[dict[str, Callable[[Drive, Sequence[Path]], list[Row]]]] = {
    "bare": bare, "names": by_names, "descriptions": by_everything, "optouts": opted_out, "verify": verified,
}  # fmt: skip


def figures(part: str, done: Driven) -> list[Row]:
    """Requests per second and quantiles of a part, each beside its goal where it has one."""
    if not done.took:
        raise SystemExit(f"{part}: no request was answered in time; give it more --seconds")
    ordered, goals = sorted(done.took), GOALS.get(part, {})
    rows = [
        once(
            f"{part}: requests answered", done.rate, "1/s", _against(done.rate, goals.get("rate"), least=True)
        )
    ]
    for name, share in SHARES.items():
        value = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        told = {"quantile": share} | _against(value, goals.get(name), least=False)
        rows.append(
            Row(
                metric=f"{part}: one request, {name}",
                value=value,
                unit="ms",
                n=len(ordered),
                interval=(ordered[0], ordered[-1]),
                conditions=told,
            )
        )
    return rows


def _against(value: float, goal: float | None, *, least: bool) -> dict[str, Any]:
    if goal is None:
        return {}
    return {"goal": goal, "reached": value >= goal if least else value <= goal}


def drawn(path: Path, seed: int) -> Path:
    """Two seconds of a landscape."""
    rate = Fraction(12)
    request = GenerationRequest(prompt="", width=480, height=272, seconds=2.0, frame_rate=rate, seed=seed)
    info = ClipInfo(width=480, height=272, time_base=1 / rate, frame_rate=rate, colour=BT601_LIMITED)
    with ClipWriter(path, info, crf=20, preset="veryfast") as writer:
        for index, picture in enumerate(SceneGenerator().generate(request).frames):
            writer.write(frame_from_rgb(picture, index, index / 12))
    return path


def _json(bodies: Sequence[dict[str, Any]]) -> tuple[bytes, ...]:
    return tuple(json.dumps(body).encode() for body in bodies)


def _form(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    made = b""
    for name, file, content in parts:
        told = f'; filename="{file}"' if file else ""
        made += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode()
        made += content + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def bare_server() -> Iterator[int]:
    """FastAPI and uvicorn as the service runs them, with nothing behind; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.tools.bare_server", str(port)], cwd=ROOT)
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise SystemExit("the bare server did not start") from None
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
