"""docs/api.md and OpenAPI name every route, and the codes that the program has."""

import re
from pathlib import Path
from typing import Any

from pipeline.api import shapes
from pipeline.api.service import KEY_IS_WELCOME
from pipeline.errors import LIBRARIES, CountermarkError, describe

PAGE = Path(__file__).parents[2] / "docs/api.md"


def test_openapi_lists_the_documented_routes(served: Any) -> None:
    schema = served.client.get("/openapi.json").json()
    listed = {f"{method.upper()} {path}" for path, one in schema["paths"].items() for method in one}
    documented = set(re.findall(r"^\| `([A-Z]+ /[^`]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert listed == documented
    for method, path in (line.split() for line in documented):
        answer = served.client.request(method, re.sub(r"{.*?}", "x", path))
        assert answer.json().get("detail") != "there is no such route; see /openapi.json"


def test_openapi_says_who_may(served: Any) -> None:
    schema = served.client.get("/openapi.json").json()
    for line in re.findall(r"^\| `([A-Z]+) (/[^`]+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE):
        operation = schema["paths"][line[1]][line[0].lower()]
        assert ("security" in operation) == (line[2] != "none" or line[1] in KEY_IS_WELCOME), line
        assert "default" in operation["responses"]
        assert "422" not in operation["responses"]
        assert operation["description"]


def test_every_reference_in_the_schema_leads_somewhere(served: Any) -> None:
    text = served.client.get("/openapi.json").text
    names = served.client.get("/openapi.json").json()["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(names)


def test_codes(served: Any) -> None:
    known: dict[str, set[int]] = {}
    for kind in _family(CountermarkError, *LIBRARIES):
        told = describe(kind(""))
        known.setdefault(told.code, set()).add(told.http_status)
    rows = re.findall(r"^\| (\d{3})(?:, \d{3})? \| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 10
    for status, code in rows:
        assert int(status) in known[code], code


def test_answers_have_the_documented_shape(served: Any) -> None:
    shapes.HealthAnswer.model_validate(served.client.get("/healthz").json())
    shapes.Problem.model_validate(served.client.get("/nope").json())
    prompt = {"prompt": "a fox in the snow"}
    gate = served.client.post("/v1/moderate/prompt", json=prompt, headers=served.key()).json()
    shapes.GateAnswer.model_validate(gate)
    report = served.client.post("/v1/verify", files={"file": ("a", b"x")}).json()
    shapes.ReportAnswer.model_validate(report)


def _family(*kinds: type[Exception]) -> list[type[Exception]]:
    return [one for kind in kinds for one in (kind, *_family(*kind.__subclasses__()))]
