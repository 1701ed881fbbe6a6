"""What the service does, as Prometheus reads it; numbers only, nothing of any request.

Counters and times grow in this process. What waits (jobs, cases, places in the pools, how far the view is
behind) is asked of the database when it is read, so that it is the same in every process.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NO_ROUTE: Final = "none"
OTHER: Final = "other"  # of the methods, which are the client's to choose
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.3, 1, 3, 10, 60)
STAGE_SECONDS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits now: a name, a sentence, the label, and a value for each label."""

    name: str
    about: str
    label: str
    values: Mapping[str, float]


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "countermark_requests", "Requests answered.", ("method", "route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "countermark_request_seconds", "Seconds from a request to the end of its answer.", ("route",),
            buckets=REQUEST_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._stages = Histogram(
            "countermark_stage_seconds", "Seconds of a job's steps.", ("stage",), buckets=STAGE_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._ended = Counter(
            "countermark_jobs_ended", "Jobs that this process ended.", ("kind", "state"),
            registry=self._registry,
        )  # fmt: skip
        self._verdicts = Counter(
            "countermark_verdicts", "What checks said of prompts and jobs.", ("of", "verdict"),
            registry=self._registry,
        )  # fmt: skip
        ProcessCollector(registry=self._registry)

    def follow(self, standing: Callable[[], list[Standing]]) -> None:
        """Tell what waits by this, whenever the numbers are read."""
        self._registry.register(_Standings(standing))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; ``route``: as it is documented, never as it was asked; so is ``method``."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def step(self, step: str, event: str, value: float) -> None:
        """Told what a job does (`pipeline.workbench.Observer`)."""
        if event == "end":
            self._stages.labels(step.partition("/")[0]).observe(value)

    def ended(self, kind: str, state: str, verdict: str | None) -> None:
        """Count a job's end, and what was said of it."""
        self._ended.labels(kind, state).inc()
        if verdict is not None:
            self.said("job", verdict)

    def said(self, of: str, verdict: str) -> None:
        """Count what the checks said."""
        self._verdicts.labels(of, verdict).inc()

    def text(self) -> bytes:
        """All numbers, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Standings(Collector):
    """Asks what waits, and writes it down."""

    def __init__(self, standing: Callable[[], list[Standing]]) -> None:
        self._ask = standing

    def describe(self) -> Iterator[Any]:
        """Nothing: what there is depends on the service."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A gauge for each of what waits."""
        for one in self._ask():
            made = GaugeMetricFamily(one.name, one.about, labels=[one.label] if one.label else None)
            for label, value in one.values.items():
                made.add_metric([label] if one.label else [], value)
            yield made
