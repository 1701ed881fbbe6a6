"""Processes that begin at once: forked from a server that has imported the pipeline (two seconds)."""

import signal
from collections.abc import Callable
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext


def run(work: Callable[..., None], *arguments: object) -> int:
    """Run a function of an importable module in a process of its own; its exit code, or minus the signal."""
    process = _server().Process(target=work, args=arguments)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def killed(work: Callable[..., None], *arguments: object) -> None:
    """The same for a function that kills its process; what it did otherwise is on standard error."""
    assert run(work, *arguments) == -signal.SIGKILL


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["pipeline.app", "pipeline.release.marking"])
    return context
