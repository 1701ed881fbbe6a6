"""The child's side of `pipeline.sandbox`: set the limits, then run the one task that was asked for."""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, Final, NoReturn

from pipeline.errors import CountermarkError
from pipeline.sandbox import MIB, TASKS

MAX_OPEN_FILES: Final = 64
PR_SET_NO_NEW_PRIVS: Final = 38
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000


def main() -> NoReturn:
    """Read one request, answer on standard output; an error of ours becomes JSON, not a traceback."""
    # Whoever reads our answer is gone: die at once and silently. (Not PR_SET_PDEATHSIG: that fires when
    # the *thread* that started us ends, which in a server is not the end of the one that reads.)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    envelope = json.loads(sys.stdin.buffer.read())
    _limit(envelope["limits"])
    _drop_network()
    status = _run(sys.argv[1], envelope["request"])
    sys.stdout.flush()
    os._exit(status)  # no clean-up of decoder threads: the process is the clean-up


def _run(task: str, request: dict[str, Any]) -> int:
    module, function = TASKS[task].split(":")
    try:
        result = getattr(importlib.import_module(module), function)(request)
    except CountermarkError as error:
        _answer({"error": {"kind": type(error).__name__, "message": str(error)}})
        return 1
    except MemoryError:
        _answer({"error": {"kind": "LimitExceeded", "message": "the file needs more memory than is allowed"}})
        return 1
    if result is not None:
        _answer({"result": result})
    return 0


def _limit(limits: dict[str, Any]) -> None:
    memory, cpu = int(limits["memory_mib"]) * MIB, int(limits["cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # the child writes no file at all
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def _drop_network() -> None:
    """No new privileges and an empty network namespace, where the kernel permits it (best effort)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, ImportError, AttributeError):
        import ctypes

        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A user namespace only as the second choice: root inside one may no longer read others' files.
        if libc.unshare(CLONE_NEWNET) != 0:
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _answer(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(document).encode())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
