"""How soon a no holds: an opt-out over HTTP, a revoked API key, asked of another process on the same home.

Two `countermark serve` processes share a home. While one is told (an opt-out over HTTP; a key is revoked by
this third process), the other is asked again and again. From the moment of the acknowledgement: how long
until an answer that refuses is in hand, the asking included; and whether any request that began after the
acknowledgement was still let through. A p99 of fewer than 100 rounds is their maximum.
"""

import http.client
import json
import math
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import common
from benchmarks.common import Row, median, once, rate, say
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.settings import Settings, load
from registry import apikeys
from registry.ids import new_id

SUITE: Final = "latency"
START_SECONDS: Final = 180.0
WAIT_SECONDS: Final = 30.0  # for a refusal, before the round counts as failed
REPEATS: Final = 3  # requests before the telling, and after the acknowledgement, at least
SCOPES: Final = ("moderate", "optout", "create")
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
LISTENING: Final = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it began and ended (seconds of the monotonic clock), and whether it was refused."""

    began: float
    ended: float
    refused: bool


@dataclass(frozen=True, slots=True)
class Round:
    """`late`: seconds from the acknowledgement to a refusal in hand; `told`: what being told took;
    `passed`: requests that began after the acknowledgement and were let through; `asking`: seconds of each
    request before it.
    """

    late: float
    told: float
    passed: int
    after: int
    asking: tuple[float, ...]


class Server:
    """A process that serves, and one connection to it."""

    def __init__(self, home: Path, log: Path) -> None:
        with log.open("wb") as file:
            command = [sys.executable, "-m", "pipeline.cli.main", "serve", "--port", "0", "--home", str(home)]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, cwd=common.ROOT)
        self._log = log
        self.port = self._listens()

    def _listens(self) -> int:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if found := LISTENING.search(self._log.read_text()):
                return int(found[1])
            time.sleep(0.1)
        raise SystemExit(f"the server did not start:\n{self._log.read_text()[-2000:]}")

    def client(self) -> "Client":
        """A connection of its own, kept open."""
        return Client(self.port)


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)

    def ask(self, method: str, path: str, secret: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Status and document."""
        form = isinstance(body, bytes)
        kind = "multipart/form-data; boundary=b" if form else "application/json"
        data = body if form or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": kind}
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def measure(ask: Callable[[], bool], tell: Callable[[], None]) -> Round:
    """Ask without a pause while `tell` runs; `ask` says whether it was refused."""
    asked: list[Asked] = []
    done = threading.Event()

    def keep_asking() -> None:
        until = time.monotonic() + WAIT_SECONDS
        after = 0
        while time.monotonic() < until and not (after >= REPEATS and asked[-1].refused):
            after += done.is_set()
            began = time.monotonic()
            refused = ask()
            asked.append(Asked(began, time.monotonic(), refused))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    while len(asked) < REPEATS and thread.is_alive():  # requests before it, which must pass
        time.sleep(0.005)
    began = time.monotonic()
    tell()
    told = time.monotonic()
    done.set()
    thread.join()
    if asked[0].refused or not asked[-1].refused:
        what = "refused before" if asked[0].refused else f"not refused {WAIT_SECONDS:.0f} s after"
        raise SystemExit(f"a round went wrong: {what} it was told")
    after = [one for one in asked if one.began >= told]
    refused = next(one for one in asked if one.refused and one.ended >= told)
    before = tuple(one.ended - one.began for one in asked if one.ended < began)
    return Round(
        late=refused.ended - told, told=told - began, passed=sum(not one.refused for one in after),
        after=len(after), asking=before,
    )  # fmt: skip


def optout_round(teller: Client, asker: Client, secret: str) -> Round:
    """An invented name is registered at one process and asked for at the other."""
    name = " ".join("".join(secrets.choice(LETTERS) for _ in range(9)).title() for _ in range(2))
    prompt = {"prompt": f"{name} walks in the rain"}
    form = f'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n--b--\r\n'.encode()

    def tell() -> None:
        status, document = teller.ask("POST", "/v1/optouts", secret, form)
        if status != 201:
            raise SystemExit(f"the opt-out was not taken: {document}")

    return measure(lambda: _names(asker.ask("POST", "/v1/moderate/prompt", secret, prompt)), tell)


def _names(answer: tuple[int, dict[str, Any]]) -> bool:
    """Blocked by a registered name; any other reason is no answer to the question asked here."""
    return any(reason["code"] == "name_match" for reason in answer[1]["reasons"])


def key_round(app: App, asker: Client) -> Round:
    """A key is made, used, and revoked."""
    key, secret = apikeys.create(app.engine, "bench", "round", ["create"], now=clock())
    path = f"/v1/generations/{new_id(clock())}"

    def tell() -> None:
        apikeys.revoke(app.engine, key.id, why={}, now=clock(), sign_checkpoint=app.signer)

    return measure(lambda: asker.ask("GET", path, secret)[0] == http.HTTPStatus.UNAUTHORIZED, tell)


def rows_of(what: str, rounds: Sequence[Round]) -> list[Row]:
    """The figures of one kind of no."""
    late = [one.late * 1000 for one in rounds]
    asking = [seconds * 1000 for one in rounds for seconds in one.asking]
    after = sum(one.after for one in rounds)
    return [
        _quantile(f"{what} acknowledged until refused elsewhere, p50", late, 0.5),
        _quantile(f"{what} acknowledged until refused elsewhere, p99", late, 0.99),
        rate(f"{what}: requests begun after it and let through", sum(one.passed for one in rounds), after),
        median(f"{what}: from telling to the acknowledgement", [one.told * 1000 for one in rounds], "ms"),
        _quantile(f"{what}: one request to the other process, p50", asking, 0.5),
        _quantile(f"{what}: one request to the other process, p99", asking, 0.99),
    ]


def _quantile(metric: str, values: Sequence[float], share: float) -> Row:
    ordered = sorted(values)
    value = ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]
    return Row(
        metric=metric, value=value, unit="ms", n=len(ordered), interval=(ordered[0], ordered[-1]),
        conditions={"quantile": share},
    )  # fmt: skip


@contextmanager
def two_servers(home: Path) -> Iterator[tuple[Server, Server]]:
    """Two processes on one home, warm."""
    started: list[Server] = []
    try:
        for number in (1, 2):
            started.append(Server(home, home / f"serve-{number}.log"))
        yield started[0], started[1]
    finally:
        for server in started:
            server.process.terminate()
        for server in started:
            server.process.wait()


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--rounds", type=common.whole(1), default=60, help="rounds of each kind")
    given = parser.parse_args()
    head = common.commit()
    rows = common.machine()
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        home = Path(folder) / "home"
        settings: Settings = load(home)
        with open_app(settings) as app, two_servers(home) as (first, second):
            secret = apikeys.create(app.engine, "bench", "bench", SCOPES, now=clock())[1]
            for server in (first, second):  # until models are loaded
                server.client().ask("POST", "/v1/moderate/prompt", secret, {"prompt": "a fox in the snow"})
            teller, asker = first.client(), second.client()  # an idle connection would be closed
            say(f"{given.rounds} opt-outs")
            optouts = [optout_round(teller, asker, secret) for _ in range(given.rounds)]
            say(f"{given.rounds} keys")
            keys = [key_round(app, asker) for _ in range(given.rounds)]
            with_policy = settings.policy
    rows += rows_of("opt-out", optouts) + rows_of("key revoked", keys)
    rows.append(once("names registered at the end", given.rounds, "count", {"policy": with_policy}))
    common.present(SUITE, rows, head, as_json=given.json)


if __name__ == "__main__":
    main()
