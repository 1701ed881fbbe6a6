"""Untrusted bytes are read in a child process with limits on memory, processor time and wall time.

The child runs one function out of the fixed table `TASKS`, gets one JSON request on its standard input
and answers on its standard output: either one JSON document (`call`) or a stream that the task defines
(`spawn`). It inherits no key, no open file but the three standard ones, and an environment of four names.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import IO, Final, Protocol

from pipeline.errors import CountermarkError, LimitExceeded, SandboxFailed
from pipeline.types import Json

# Task name -> "module:function"; the child imports nothing that is not named here.
TASKS: Final[dict[str, str]] = {
    "decode": "pipeline.media.child:decode",
    "read_credential": "pipeline.credentials.child:read_credential",
}

MIB: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * MIB
KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits of one child: address space in MiB, processor seconds, wall-clock seconds."""

    memory_mib: int = 4096
    cpu_seconds: int = 600
    wall_seconds: float = 600.0


class ErrorFactory(Protocol):
    """Builds the error that a child reported, from its class name and its sentence."""

    def __call__(self, kind: str, message: str) -> CountermarkError: ...


def spawn(task: str, request: Json, limits: ProcessLimits, *, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a child on `task`; the caller reads its stream from ``stdout`` and must reap it.

    Raises: KeyError for a task that is not in `TASKS`.
    """
    TASKS[task]
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.sandbox_child", task],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment, close_fds=True,
    )  # fmt: skip
    assert child.stdin is not None  # noqa: S101 - for the type checker
    try:
        child.stdin.write(json.dumps({"request": request, "limits": asdict(limits)}).encode())
        child.stdin.close()
    except BrokenPipeError:
        pass  # the child is already dead; whoever reads its answer says so
    return child


def call(task: str, request: Json, limits: ProcessLimits) -> Json:
    """Run `task` to its end and return its JSON answer.

    Raises: SandboxFailed when the child died or answered nonsense, LimitExceeded when it ran out of time
    or memory, and the `CountermarkError` subclass that the child itself reported.
    """
    with tempfile.TemporaryFile() as stderr:
        child = spawn(task, request, limits, stderr=stderr)
        try:
            answer, _ = child.communicate(timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired:
            raise LimitExceeded(f"reading took over {limits.wall_seconds:g} s and was stopped") from None
        finally:
            child.kill()
            child.wait()
    return parse_answer(answer, child.returncode)


def parse_answer(answer: bytes, returncode: int) -> Json:
    """Turn a child's last words into a result or an error; see `call`."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise LimitExceeded("the reader's answer is larger than 64 MiB")
    try:
        document = json.loads(answer)
    except ValueError:
        raise SandboxFailed(
            f"the process that reads untrusted files died (status {returncode}); the file may be hostile"
        ) from None
    if error := document.get("error"):
        raise error_from(str(error["kind"]), str(error["message"]))
    result: Json = document["result"]
    return result


def error_from(kind: str, message: str) -> CountermarkError:
    """The `CountermarkError` subclass called `kind`, or `SandboxFailed` for any other name."""
    known = {cls.__name__: cls for cls in CountermarkError.__subclasses__()}
    return known.get(kind, SandboxFailed)(message)
