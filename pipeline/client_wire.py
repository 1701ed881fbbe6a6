"""How the client of `pipeline.client` asks: what is sent again, what is an error, page after page."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import httpx2

Json = dict[str, Any]

AGAIN: Final = frozenset({429, 503})
TRIES: Final = 5
LONGEST_WAIT: Final = 60.0  # seconds between two tries


class ClientError(Exception):
    """Base of what this module raises."""


class Unreachable(ClientError):
    """The service did not answer, however often it was asked."""


class Problem(ClientError):
    """What the service answered instead (RFC 9457). ``code`` is stable: docs/errors.md lists all."""

    def __init__(self, document: Mapping[str, Any], status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.code = str(document.get("code", "internal"))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail", ""))
        self.because: str | None = document.get("because")
        self.errors: list[dict[str, str]] = list(document.get("errors", ()))
        self.retry_after = retry_after
        super().__init__(f"{self.code} ({status}): {self.detail or self.title}")


class Wire:
    """A connection to a service; see `pipeline.client.Client`."""

    def __init__(
        self, address: str, key: str = "", *, timeout: float = 60.0, tries: int = TRIES,
        transport: httpx2.BaseTransport | None = None, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(
            base_url=address.rstrip("/"), headers=headers, timeout=timeout, transport=transport
        )
        self._tries, self._sleep = tries, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _pages(self, path: str, what: str, only: Mapping[str, str] | None = None) -> Iterator[Json]:
        after: str | None = ""
        while after is not None:
            asked = {**(only or {}), **({"after": after} if after else {})}
            told = self._send("GET", path, params=asked).json()
            yield from told[what]
            after = told["after"]

    def _upload(
        self, path: str, files: Sequence[tuple[str, Path]], fields: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
    ) -> Json:  # fmt: skip
        """Send files as they are read, opened anew at every try."""

        def send() -> httpx2.Response:
            with ExitStack() as stack:
                parts: list[tuple[str, Any]] = [(name, (None, value.encode())) for name, value in fields]
                parts += [(name, (one.name, stack.enter_context(one.open("rb")))) for name, one in files]
                return self._http.post(path, files=parts, headers=dict(headers))

        told: Json = self._tried(send).json()
        return told

    def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self._tried(lambda: self._http.request(method, path, **more))

    def _tried(self, send: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Rules 1 and 2 of `pipeline.client`."""
        for attempt in range(self._tries):
            last = attempt == self._tries - 1
            try:
                answer = send()
            except httpx2.TransportError as error:
                if last:
                    raise Unreachable(f"the service does not answer ({error})") from error
                self._sleep(pause_before(attempt, None))
                continue
            if answer.status_code not in AGAIN or last:
                return good(answer)
            self._sleep(pause_before(attempt, _retry_after(answer)))
        raise Unreachable("the service was not asked: `tries` is 0")


def named(name: str | None) -> dict[str, str]:
    """The header that names an order, by a name that nobody used where none is given."""
    return {"Idempotency-Key": name or uuid.uuid4().hex}


def fields_of(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Members of a request as the fields of a form: a list is a field for each, None is left out."""
    listed = [(name, told if isinstance(told, (list, tuple)) else [told]) for name, told in body.items()]
    return [(name, str(one)) for name, every in listed for one in every if one is not None]


def good(answer: httpx2.Response) -> httpx2.Response:
    """The answer. Raises: Problem, if it is none."""
    if answer.is_success:
        return answer
    try:
        document = answer.json()
    except ValueError:
        document = {}
    raise Problem(document if isinstance(document, dict) else {}, answer.status_code, _retry_after(answer))


def _retry_after(answer: httpx2.Response) -> float | None:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() else None


def pause_before(attempt: int, wanted: float | None) -> float:
    """Seconds before the next try: as the service says, else twice as long each time."""
    return min(0.25 * 2**attempt if wanted is None else wanted, LONGEST_WAIT)
