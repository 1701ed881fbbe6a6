"""Untrusted bytes are read in a child process with limits on memory, processor time and wall time.

The child runs one function out of the fixed table `TASKS`, gets one JSON request on its standard input
and answers on its standard output: either one JSON document (`call`) or a stream that the task defines
(`spawn`). It inherits no key, no open file but the three standard ones, an environment of a few names,
and, where the system allows it, no network.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import CountermarkError, LimitExceeded, SandboxFailed
from pipeline.types import Json

# Task name -> "module:function"; the child imports nothing that is not named here.
TASKS: Final[dict[str, str]] = {
    "decode": "pipeline.media.child:decode",
    "listen": "pipeline.media.listening_child:listen",
    "read_credential": "pipeline.credentials.child:read_credential",
    "read_labels": "pipeline.credentials.labels_child:read_labels",
    "read_pictures": "pipeline.pictures.child:read_pictures",
}

MIB: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * MIB
KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH")
SET_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",  # each further arena reserves 64 MiB of the address space that is limited
}
# The folder of this package goes to the end of the child's path, so that it runs the same code as we do.
BOOTSTRAP: Final = "import sys; sys.path.append(sys.argv[2]); from pipeline.sandbox_child import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits of one child: address space in MiB, processor seconds (all threads), seconds waited for it."""

    memory_mib: int = 4096
    cpu_seconds: int = 600
    wall_seconds: float = 600.0


@contextlib.contextmanager
def spawn(task: str, request: Json, limits: ProcessLimits) -> Iterator[subprocess.Popen[bytes]]:
    """A child that works on `task`; read its stream from ``stdout``. It is dead and reaped after the block.

    Raises: KeyError for a task that is not in `TASKS`, SandboxFailed when no process can be started.
    """
    TASKS[task]
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    command = [sys.executable, "-P", "-c", BOOTSTRAP, task, str(Path(__file__).parents[1])]
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment | SET_ENVIRONMENT,
        )  # fmt: skip
    except OSError as error:
        raise SandboxFailed(f"no process could be started to read the file ({error.strerror})") from None
    try:
        _send(child, {"request": request, "limits": asdict(limits)})
        yield child
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()


def _send(child: subprocess.Popen[bytes], envelope: dict[str, object]) -> None:
    assert child.stdin is not None  # noqa: S101 - for the type checker
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # a dead child is noticed when read
        pipe.write(json.dumps(envelope).encode())
    child.stdin = None  # else `communicate` would flush a closed pipe


def call(task: str, request: Json, limits: ProcessLimits) -> Json:
    """Run `task` to its end and return its JSON answer.

    Raises: SandboxFailed when the child died or answered nonsense, LimitExceeded when it ran out of time
    or memory, and the `CountermarkError` subclass that the child itself reported.
    """
    with spawn(task, request, limits) as child:
        assert child.stdout is not None  # noqa: S101 - for the type checker
        expired = threading.Event()
        timer = threading.Timer(limits.wall_seconds, _expire, (expired, child))
        timer.start()
        try:
            answer = child.stdout.read(MAX_ANSWER_BYTES + 1)
            if len(answer) > MAX_ANSWER_BYTES:
                child.kill()
            child.wait()  # it may have closed its output and go on
        finally:
            timer.cancel()
    if expired.is_set():
        raise too_slow(limits)
    return parse_answer(answer, child.returncode)


def _expire(expired: threading.Event, child: subprocess.Popen[bytes]) -> None:
    expired.set()
    child.kill()


def parse_answer(answer: bytes, returncode: int) -> Json:
    """Turn a child's last words into a result or an error; see `call`."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise LimitExceeded("the reader's answer is larger than 64 MiB")
    try:
        document = json.loads(answer)
        if error := document.get("error"):
            raise error_from(str(error["kind"]), str(error["message"]))
        result: Json = document["result"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise died(returncode) from None
    return result


def error_from(kind: str, message: str) -> CountermarkError:
    """The `CountermarkError` subclass called `kind`, or `SandboxFailed` for any other name."""
    known = {cls.__name__: cls for cls in CountermarkError.__subclasses__()}
    return known.get(kind, SandboxFailed)(message)


def died(returncode: int | None) -> CountermarkError:
    """What to say of a child that ended with `returncode` and without a proper answer."""
    if returncode == -signal.SIGXCPU:
        return LimitExceeded("reading the file took more processor time than is allowed and was stopped")
    return SandboxFailed(
        f"the process that reads untrusted files died (status {returncode}); the file may be hostile"
    )


def too_slow(limits: ProcessLimits) -> LimitExceeded:
    """The error for a child that kept us waiting for longer than ``limits.wall_seconds``."""
    return LimitExceeded(f"reading the file took over {limits.wall_seconds:g} s and was stopped")
