"""``python -m training.cohorts``: makes the vectors that ship, of ordinary prompts by the models that ship.

To be run again when those models, the ordinary prompts or how prompts are cut have changed; a test says so.
"""

import sys
from pathlib import Path

from classifiers.embed import OpenClipEmbedder
from classifiers.minilm import MiniLm
from pipeline.cohort import SHIPPED, Cohort


def make(folder: Path) -> None:
    """Put into the folder all vectors that `Cohort` is asked for, and nothing that was there before."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    cohort, clip = Cohort(folder, shipped=None), OpenClipEmbedder()
    cohort.sights(clip, MiniLm())
    cohort.prompts(clip)


def main() -> int:
    """Make them in their place."""
    make(SHIPPED)
    print(f"{sum(file.stat().st_size for file in SHIPPED.iterdir()):,} bytes in {SHIPPED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
