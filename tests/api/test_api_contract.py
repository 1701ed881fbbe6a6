"""The service against its own OpenAPI document: nothing breaks it, no answer is other than documented."""

import contextlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

EXAMPLES = 15
LEFT_OUT = {("POST", "/v1/guard"), ("POST", "/v1/generations"), ("POST", "/v1/webhooks")}
"""Making clips takes seconds each; webhooks would be sent to addresses that were made up. Both have tests
of their own."""
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance, checks.unsupported_method,
]  # fmt: skip


@pytest.fixture(scope="module", name="headers")
def a_key_for_everything(served: Any) -> dict[str, str]:
    scopes = ("create", "guard", "moderate", "verify", "optout", "review", "metrics", "admin")
    headers: dict[str, str] = served.key("fuzz", *scopes)
    return headers


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_contract(served: Any, headers: dict[str, str], mode: GenerationMode) -> None:
    """Requests as the document says, and requests that are wrong in some way."""
    document = schemathesis.openapi.from_asgi("/openapi.json", served.client.app)
    operations = [found.ok() for found in document.get_all_operations()]
    tried = [one for one in operations if (one.method.upper(), one.path) not in LEFT_OUT]
    assert len(tried) > 15
    for operation in tried:
        _ask(operation, headers, mode)


def _ask(operation: Any, headers: dict[str, str], mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, database=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def asked(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    # Where nothing can be said, nothing can be said wrongly.
    with contextlib.suppress(*(() if mode is GenerationMode.POSITIVE else (Unsatisfiable,))):
        asked()
