"""What a part of a benchmark was given on the command line, and the files it may ask for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Missing(Exception):
    """A file or folder that a part needs is not there; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """``prompts``: the folder of ``--prompts``; ``quick``: small samples are enough."""

    prompts: Path | None = None
    quick: bool = False

    def file(self, name: str) -> Path:
        """A file of the folder of prompts. Raises: Missing."""
        if self.prompts is None:
            raise Missing(f"this needs {name}; name the folder that has it: --prompts DIR")
        path = self.prompts / name
        if not path.is_file():
            raise Missing(f"there is no {path}; --prompts names the folder that has {name}")
        return path

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The JSON objects of a file of the folder, one a line. Raises: Missing."""
        with self.file(name).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
