"""Requests over kept connections to one address, as many at a time as there are connections; what each took.

It runs in a process of its own, so that the server does not wait for whoever measures it.
"""

import http.client
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.common import ROOT

TIMEOUT_SECONDS: Final = 120.0
KEPT: Final = 300  # characters of an answer that was not as it should be


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What to ask: `bodies` in turn until they are used up or `seconds` are over; `good`: good statuses."""

    port: int
    path: str
    secret: str
    bodies: tuple[bytes, ...]
    kind: str = "application/json"
    connections: int = 4
    seconds: float = 10.0
    good: tuple[int, ...] = (200,)
    warm: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """`took`: milliseconds of each answered request, warming up left out; `seconds`: from the first to the
    last; `wrong`: the end of an answer that was none, if there was one.
    """

    took: tuple[float, ...]
    seconds: float
    wrong: str | None

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.took) / self.seconds if self.seconds else 0.0


def drive(asked: Drive) -> Driven:
    """Ask from another process. Raises: SystemExit for an answer that is none of the good ones."""
    command = [sys.executable, "-m", "benchmarks.tools.load_driver"]
    ran = subprocess.run(command, input=pickle.dumps(asked), capture_output=True, cwd=ROOT, check=False)
    if ran.returncode:
        raise SystemExit(f"the driver ended:\n{ran.stderr.decode()[-2000:]}")
    told = json.loads(ran.stdout)
    done = Driven(**told | {"took": tuple(told["took"])})
    if done.wrong is not None:
        raise SystemExit(f"{asked.path} answered: {done.wrong}")
    return done


def _drive(asked: Drive) -> Driven:
    turns, took, wrong = _Turns(asked.bodies), list[float](), list[str]()
    _ask_all(asked, _Turns(asked.bodies[: asked.warm]), [], wrong, float("inf"))
    turns.skip(asked.warm)
    began = time.monotonic()
    threads = [
        threading.Thread(target=_ask_all, args=(asked, turns, took, wrong, began + asked.seconds))
        for _ in range(asked.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Driven(
        took=tuple(took), seconds=time.monotonic() - began, wrong=wrong[0] if wrong else None
    )  # fmt: skip


class _Turns:
    """Bodies, each given to one connection."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._left, self._guard = iter(bodies), threading.Lock()

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.next()

    def next(self) -> bytes | None:
        with self._guard:
            return next(self._left, None)


def _ask_all(asked: Drive, turns: _Turns, took: list[float], wrong: list[str], until: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", asked.port, timeout=TIMEOUT_SECONDS)
    headers = {"Content-Type": asked.kind}
    headers |= {"Authorization": f"Bearer {asked.secret}"} if asked.secret else {}
    while not wrong and time.monotonic() < until:
        body = turns.next()
        if body is None:
            break
        began = time.perf_counter()
        connection.request("POST", asked.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status not in asked.good:
            wrong.append(f"{answer.status} {content.decode(errors='replace')[:KEPT]}")
    connection.close()


def main() -> None:
    """Drive what stands on standard input, and say what came of it on standard output."""
    print(json.dumps(asdict(_drive(pickle.loads(sys.stdin.buffer.read())))))


if __name__ == "__main__":
    main()
