"""An import in a process of its own that kills itself after so many steps: `import_child.py FOLDER STEPS`."""

import os
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "optouts")]

from import_builders import importer_in, order  # noqa: E402

from pipeline.imports import importer  # noqa: E402


def main(folder: Path, steps: int) -> None:
    importer.CHUNK = 2  # type: ignore[misc]
    left = steps

    def progress(_step: str, _done: int, _all: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    made = importer_in(folder)
    report = made.run(order(folder / "subjects.ndjson", folder / "pictures.zip"), progress)
    sys.stdout.write(f"{report.run.id} {report.resumed_at} {made.eyes.clip.seen}")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
