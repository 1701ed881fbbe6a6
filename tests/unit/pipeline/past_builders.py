"""A home with releases that nobody drew, and what is wished about them, for tests of what looks back."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.base import Sight
from pipeline.clock import clock
from registry import cases, optouts
from registry.db import read
from registry.subject_types import NameDraft, OptOutDraft
from registry.types import Release

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks.tools import fence_world as world
from benchmarks.tools.past_home import PastHome

CALIBRATIONS = list(world.CALIBRATIONS.values())
TARGETS = 2 * len(world.KINDS)
PICTURED = world.KINDS.index("pictures")


def told(home: PastHome) -> dict[str, Any]:
    return {"now": clock(), "sign_checkpoint": home.app.signer}


def name(home: PastHome, text: str, **changes: Any) -> str:
    draft = OptOutDraft(kind="character", name=text, owner="Studio", names=(NameDraft(text=text),), **changes)
    return optouts.add(home.app.engine, draft, **told(home)).subject


def prompt(home: PastHome, text: str, *turns: str, **facts: Any) -> Release:
    seen = world.sight(world.HARMLESS, np.random.default_rng(len(text)))
    return home.publish(Sight(texts=(*turns, text), seen=seen.seen), **facts)


def picture(home: PastHome, target: int, **facts: Any) -> Release:
    """A release of which a frame shows a target that is opted out by pictures."""
    assert world.kind_of(target) == "pictures"
    return home.publish(world.sight(target, np.random.default_rng(target)), **facts)


def states(home: PastHome, *of: Release) -> list[str]:
    return [home.state(one.id) for one in of]


def open_cases(home: PastHome) -> list[cases.Case]:
    with read(home.app.engine) as conn:
        return cases.page(conn)


def opt_out(home: PastHome, target: int) -> None:
    ids = world.Ids(subjects={}, licences={}, keys={})
    world.opt_out(home.app.engine, target, ids, clock(), home.app.signer)
