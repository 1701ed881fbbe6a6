"""`countermark worker`: runs the jobs that services accepted."""

import logging
import logging.config
import os
import signal
import sys
import threading
import time
from typing import Annotated, Final

import typer

from pipeline.cli import output
from pipeline.settings import load

LOOK_SECONDS: Final = 0.2  # between two looks at whether a signal came


class Told:
    """That a signal asked this process to end.

    An event will not do: one that is set in a signal's handler may be locked by the thread that the handler
    interrupts, and a signal that comes just before that thread waits is not noticed until it has waited.
    """

    def __init__(self, *signals: int) -> None:
        """Listen from now on; only in the main thread."""
        self._came: list[int] = []
        for one in signals:
            signal.signal(one, lambda number, _frame: self._came.append(number))

    def wait(self, pause: float = LOOK_SECONDS) -> None:
        """Until one has come."""
        while not self._came:
            time.sleep(pause)


def worker(
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Jobs at a time; default: the setting `workers`, at least one."),
    ] = None,
    home: output.Home = None,
) -> int:
    """Run jobs and imports that `serve` accepts, beside any number of other workers, until interrupted."""
    from pipeline import logs
    from pipeline.app import open_app
    from pipeline.credentials.safe import safe_of
    from pipeline.eyes import Eyes
    from pipeline.importing import Importing
    from pipeline.runner import STOP_SECONDS, Runner
    from pipeline.starting import open_models, open_signing

    settings, stop = load(home), threading.Event()
    count = jobs or max(1, settings.workers)
    logging.config.dictConfig(logs.config(settings))
    safe_of(settings).demand_open()  # before the models, which take long to load
    log, eyes = logging.getLogger("countermark.service"), Eyes.of(settings)
    open_models(settings, eyes)
    open_signing(settings)
    with open_app(settings, eyes) as app:
        told = Told(signal.SIGTERM, signal.SIGINT)
        runner = Runner(app, count, lambda *_: None, lambda _job: None)
        runner.start()
        importing = threading.Thread(target=Importing(app).keep_running, args=(stop, stop), daemon=True)
        importing.start()
        log.info("taking jobs, %d at a time", count)
        told.wait()
        stop.set()
        log.info("stopping")
        idle = runner.stop()
        importing.join(STOP_SECONDS)
    if not idle or importing.is_alive():
        # Work still runs in C code; it is durable, and another process goes on with it.
        sys.stderr.flush()
        os._exit(output.OK)
    return output.OK
