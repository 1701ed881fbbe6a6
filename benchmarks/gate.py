"""What the gate stops, and what it stops by mistake: `python -m benchmarks.gate --prompts DIR`.

DIR has copycat.jsonl (name-free descriptions of characters) and benign.jsonl (ordinary video prompts).
1. The characters are registered by name alone in a home of their own, and the whole gate, models included,
   judges the ordinary prompts: hits, listed by name and words, and prompts per second.
2. Names under disguises: the share of prompts that are not allowed, and of those that are surely found.
3. The characters are registered by descriptions instead (`benchmarks.tools.safety_descriptions`): their other
   descriptions, look-alikes (descriptions of characters while only the other half is registered) and ordinary
   prompts.
4. Ordinary prompts with a name that nobody registered, as permission-first would hold them.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.common import Row, commit, machine, once, options, present, rate, say, whole
from benchmarks.tools import described, safety_descriptions
from benchmarks.tools.disguises import EXACT, FURTHER
from benchmarks.tools.plain_names import PlainName, named
from classifiers.base import Sight
from classifiers.names import NameMatcher, check_unregistered
from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.gate import GateResult, Prompt, open_gate
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.policy import DESCRIPTIONS, NAMES, preset
from pipeline.settings import Settings, load
from pipeline.types import Verdict

PARTS: Final = ("names", "disguises", "descriptions", "unregistered")
FRAMES: Final = ("a clip of {} walking through a city", "{} dances with a red dog", "A forest. Then {}!")
UNLIKELY: Final = "a violet clockwork heron with nine brass wings that plays the bassoon"
"""A description that no ordinary prompt has, so that the models are used and hits come from names."""
BATCH: Final = 64
SEED: Final = 7


def main() -> None:
    """Measure and print."""
    given = _options()
    at_commit = commit()
    told = described.read(given.prompts / "copycat.jsonl")
    ordinary = _ordinary(given.prompts / "benign.jsonl", given.sample)
    names = [named(target) for target in sorted({one.target for one in told})]
    rows = machine()
    if "names" in given.parts:
        rows += [*_matcher_rows(names, ordinary), *_gate_rows(names, ordinary, "")]
        rows += _gate_rows(names, ordinary[: given.with_models], UNLIKELY)
    if "disguises" in given.parts:
        rows += _disguise_rows(names, given.rounds)
    if "descriptions" in given.parts:
        rows += safety_descriptions.characters(told, ordinary[: given.with_models])
    if "unregistered" in given.parts:
        rows += _unregistered_rows(ordinary)
    present("gate", rows, at_commit, as_json=given.json)


def _options() -> argparse.Namespace:
    parser = options(__doc__, clips=False)
    parser.add_argument("--prompts", type=Path, required=True, help="folder with the two files")
    parser.add_argument("--sample", type=whole(1), default=1_000_000, help="ordinary prompts to use")
    parser.add_argument("--with-models", type=whole(1), default=500, help="of them that the models see too")
    parser.add_argument("--rounds", type=whole(1), default=3, help="tries of each disguise")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    return parser.parse_args()


def _ordinary(path: Path, count: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    chosen = lines if count >= len(lines) else random.Random(SEED).sample(lines, count)
    return [str(json.loads(line)["text"]) for line in chosen]


def _matcher_rows(names: Sequence[PlainName], ordinary: Sequence[str]) -> list[Row]:
    """The name layer alone."""
    matcher = NameMatcher(names)
    matcher.match(ordinary[0])  # loads the word frequencies
    begun = time.perf_counter()
    for text in ordinary:
        matcher.match(text)
    seconds = time.perf_counter() - begun
    layer: dict[str, str | int] = {"names": len(names), "layer": "names"}
    return [once("prompts per second", len(ordinary) / seconds, "prompts/s", layer)]


def _gate_rows(names: Sequence[PlainName], ordinary: Sequence[str], described_too: str) -> list[Row]:
    """The whole gate on a registry of names, or (given a description) of names and that description."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load(Path(folder))
        _register(settings, names, described_too)
        list(_judged(settings, ordinary[:BATCH]))  # the models' files are read before the clock starts
        say(f"judging {len(ordinary)} prompts")
        begun = time.perf_counter()
        results = list(_judged(settings, ordinary))
        seconds = time.perf_counter() - begun
    hits = [
        (text, result)
        for text, result in zip(ordinary, results, strict=True)
        if result.decision.verdict is not Verdict.ALLOW
    ]
    for text, result in hits:
        reasons = ", ".join(
            f"{reason.code} {reason.evidence.get('subject_name')} “{reason.evidence.get('quote')}”"
            for reason in result.decision.reasons
        )
        print(f"hit: {reasons}: {text[:100]}", file=sys.stderr)
    named: dict[str, str | int] = {
        "names": len(names),
        "layer": "whole gate",
        "models": "used" if described_too else "not needed",
    }
    false = [text for text, result in hits if not _says(text, result)]
    return [
        once("prompts per second", len(ordinary) / seconds, "prompts/s", named),
        rate("ordinary prompts not allowed", len(hits), len(ordinary), named),
        rate("of them without the name as it is written", len(false), len(ordinary), named),
    ]


def _says(text: str, result: GateResult) -> bool:
    """Whether a prompt has the registered name with its capitals: then the prompt does mean it."""
    return any(str(reason.evidence.get("reference")) in text for reason in result.decision.reasons)


def _register(settings: Settings, names: Sequence[PlainName], description: str) -> None:
    with open_app(settings) as app:
        desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
        for name in names:
            order = OptOutOrder(name=name.text, context=name.context, owner="a benchmark")
            desk.register(order)
        if description:
            desk.register(
                OptOutOrder(name="Qvarnström the Ninth", description=description, owner="a benchmark")
            )


def _judged(settings: Settings, texts: Sequence[str]) -> Iterator[GateResult]:
    # What is unsafe is asked about by countermark bench safety.
    policy = preset("opt-out").only([NAMES, DESCRIPTIONS])
    with open_gate(settings) as gate:
        for at in range(0, len(texts), BATCH):
            prompts = [Prompt(text=text) for text in texts[at : at + BATCH]]
            yield from gate.judge_all(prompts, policy=policy)


def _disguise_rows(names: Sequence[PlainName], rounds: int) -> list[Row]:
    matcher, rng, rows = NameMatcher(names), random.Random(SEED), []
    for kind, disguise in {**EXACT, **FURTHER}.items():
        found = sure = tried = 0
        for name in [name for name in names for _ in range(rounds)]:
            near = f" {rng.choice(name.context)}" if name.context else ""
            text = rng.choice(FRAMES).format(disguise(name.text, rng)) + near
            hits = [hit for hit in matcher.match(text) if hit.entry.subject == name.subject]
            tried += 1
            found += bool(hits)
            sure += any(hit.sure for hit in hits)
        rows.append(rate("names found", found, tried, {"disguise": kind}))
        rows.append(rate("names surely found", sure, tried, {"disguise": kind}))
    return rows


def _unregistered_rows(ordinary: Sequence[str]) -> list[Row]:
    references = described.WordReferences("", {})
    held = [text for text in ordinary if check_unregistered(Sight(texts=(text,)), references).findings]
    return [rate("ordinary prompts with an unregistered name", len(held), len(ordinary))]


if __name__ == "__main__":
    main()
