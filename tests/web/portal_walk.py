"""Somebody who goes through the opt-out pages with plain requests, as a browser without script does."""

import re
from dataclasses import dataclass
from typing import Any

DECLARED = {"authority": "yes", "good_faith": "yes", "accuracy": "yes"}
ME = {"who": "Mara Quill", "email": "mara@example.org"}


@dataclass
class Walk:
    """``secret``: of the draft."""

    pages: Any
    secret: str = ""

    @classmethod
    def begin(cls, pages: Any, whom: str = "work") -> "Walk":
        answer = pages.post("/optout", data={"whom": whom})
        assert answer.status_code == 303, answer.text
        return cls(pages, re.findall(r"d=([\w-]{43})", answer.headers["location"])[0])

    def at(self, step: int) -> str:
        return f"/optout/draft?d={self.secret}&step={step}"

    def see(self, step: int) -> str:
        answer = self.pages.get(self.at(step))
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def send(self, step: int, act: str, *files: Any, headers: Any = None, **fields: Any) -> Any:
        parts: list[Any] = [("act", (None, act))]
        for name, values in fields.items():
            parts += [(name, (None, value)) for value in ([values] if isinstance(values, str) else values)]
        return self.pages.post(self.at(step), files=[*parts, *files], headers=headers)

    def finish(self, **fields: Any) -> Any:
        """To the last page. Returns it."""
        answer = self.send(4, "register", **fields)
        assert answer.status_code == 303, answer.text
        return self.pages.get(answer.headers["location"])


def picture_part(name: str, data: bytes) -> tuple[str, tuple[str, bytes, str]]:
    return "references", (name, data, "image/png")


def key_on(text: str) -> str:
    """The key that the last page shows."""
    return re.findall(r"<code>(cmk_[\w-]+)</code>", text)[0]
