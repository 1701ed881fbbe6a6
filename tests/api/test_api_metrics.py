"""Numbers and readiness: what was counted, what waits, and nothing of any request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.api import shapes, standing
from pipeline.api.metrics import Metrics, Standing


@pytest.fixture(name="numbers")
def read_numbers(served: Any) -> Any:
    headers = served.key("ops", "metrics")

    def read() -> dict[str, float]:
        answer = served.client.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            _name(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    return read


def test_requests_are_counted_by_their_route(served: Any, numbers: Any) -> None:
    before = numbers()
    served.client.get("/healthz")
    served.client.get("/v1/generations/secret-id", headers=served.key())
    served.client.get("/nope/secret-path")
    served.client.request("BREW", "/healthz")
    after = numbers()

    def more(method: str, route: str, status: int) -> float:
        name = f'countermark_requests_total{{method="{method}",route="{route}",status="{status}"}}'
        return after.get(name, 0) - before.get(name, 0)

    assert more("GET", "/healthz", 200) == 1
    assert more("GET", "/v1/generations/{job_id}", 404) == 1
    assert more("GET", "none", 404) == 1
    assert more("other", "/healthz", 405) == 1
    assert not any("secret" in name for name in after)


def test_jobs_and_what_waits(served: Any, numbers: Any, tmp_path: Path, make_clip: Any) -> None:
    before = numbers()
    loud = make_clip(tmp_path / "loud.mp4", 480, 272, 24, fps=12, audio=True, seed=77)
    held = served.guard(loud, served.key("studio"), audio="hold").json()
    assert held["state"] == "held"
    after = numbers()

    def grew(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grew('countermark_jobs_ended_total{kind="guard",state="held"}') == 1
    assert grew('countermark_verdicts_total{of="job",verdict="review"}') == 1
    assert grew('countermark_stage_seconds_count{stage="survey"}') == 1
    assert grew('countermark_waiting{what="held clips"}') == 1
    assert after['countermark_waiting{what="open jobs"}'] == 0
    assert after['countermark_pool_places_taken{pool="jobs"}'] == 0
    assert after["countermark_view_behind_entries{}"] >= 0
    assert after['countermark_log_entries{which="all"}'] > 0


def test_who_may_read_numbers(served: Any) -> None:
    assert served.client.get("/metrics").status_code == 401
    assert served.client.get("/metrics", headers=served.key("studio")).status_code == 403


def test_ready(served: Any) -> None:
    answer = served.client.get("/readyz")
    shapes.ReadyAnswer.model_validate(answer.json())
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["parts"].values()) == {"ready"}


def test_not_ready_without_disk(serve: Any) -> None:
    answer = serve(min_free_mib=10**9).client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert "of disk are free" in answer.json()["parts"]["disk"]


def test_not_ready_while_it_stops(serve: Any) -> None:
    served = serve()
    served.service.stopping.set()
    assert served.client.get("/readyz").json()["parts"]["process"] == "it is stopping"


def test_not_ready_without_its_registry(serve: Any) -> None:
    """The database's file is gone: readiness and numbers say so, and do not break."""
    served = serve()
    headers = served.key("ops", "metrics")
    served.service.app.engine.dispose()
    for file in served.service.settings.home.glob("registry.db*"):
        file.rename(file.with_suffix(".gone"))
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["registry"] == "ready") == (503, False)
    names = [one.name for one in standing.standing(served.service)]
    assert names == ["countermark_pool_places_taken"]
    assert served.client.get("/metrics", headers=headers).status_code >= 400


def test_what_cannot_be_asked_is_missing_and_the_rest_is_there() -> None:
    metrics = Metrics()
    metrics.follow(lambda: [Standing(name="countermark_waiting", about="W.", label="what", values={"a": 3})])
    metrics.said("prompt", "block")
    text = metrics.text().decode()
    assert 'countermark_waiting{what="a"} 3.0' in text
    assert 'countermark_verdicts_total{of="prompt",verdict="block"} 1.0' in text
    assert "process_resident_memory_bytes" in text


def _name(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"
