"""The child's side of `pipeline.sandbox`: set the limits, then run the one task that was asked for."""

import importlib
import json
import resource
import sys
from typing import Any

from pipeline.errors import CountermarkError
from pipeline.sandbox import MIB, TASKS


def main() -> int:
    """Read one request, answer on standard output; an error of ours becomes JSON, not a traceback."""
    envelope = json.loads(sys.stdin.buffer.read())
    _limit(envelope["limits"])
    module, function = TASKS[sys.argv[1]].split(":")
    try:
        result = getattr(importlib.import_module(module), function)(envelope["request"])
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


def _answer(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(document).encode())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
