"""`countermark worker`: runs the jobs that services accepted."""

import logging
import logging.config
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from pipeline.cli import output
from pipeline.settings import load


def worker(
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Jobs at a time; default: the setting `workers`, at least one."),
    ] = None,
    home: output.Home = None,
) -> int:
    """Run jobs of the queue that `serve` fills, beside any number of other workers, until interrupted."""
    from pipeline import logs
    from pipeline.app import open_app
    from pipeline.eyes import Eyes
    from pipeline.runner import Runner
    from pipeline.starting import open_models

    settings, stop = load(home), threading.Event()
    count = jobs or max(1, settings.workers)
    logging.config.dictConfig(logs.config(settings))
    log, eyes = logging.getLogger("countermark.service"), Eyes.of(settings)
    open_models(settings, eyes)
    with open_app(settings, eyes) as app:
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, lambda *_: stop.set())
        runner = Runner(app, count, lambda *_: None, lambda _job: None)
        runner.start()
        log.info("taking jobs, %d at a time", count)
        stop.wait()
        log.info("stopping")
        idle = runner.stop()
    if not idle:
        # A job still runs in C code; it is durable, and another process goes on with it.
        sys.stderr.flush()
        os._exit(output.OK)
    return output.OK
