"""Unsafe prompts: what the weights that ship find, what the recipe finds on labelled prompts, and mistakes.

The weights that ship have seen none of these prompts: they are trained on text the project writes. Only the
rows "cross-validated" are fitted to the labelled set, each line judged by a fit to the others.
1. moderation1680.jsonl: area under the precision-recall curve, by five folds and by the weights that ship.
2. t2vsafetybench.jsonl and t2i_riskyprompt.jsonl: for each of their categories, the share found where 1 % of
   benign.jsonl is found as well. A category's score is the highest of those of ours that it may be (`OURS`),
   each less its own 1 % point; a category that is none of ours takes all.
3. benign.jsonl: prompts that a preset does not let pass, with nothing and with 28 characters registered.
"""

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Conditions, Row, once, rate, say
from benchmarks.tools.given import Given
from classifiers.minilm import MiniLm
from classifiers.unsafe.check import CATEGORIES, look_unsafe
from classifiers.unsafe.embedded import EmbeddedModerator
from classifiers.unsafe.taxonomy import Category
from training.safety.folds import area, cross_validated, held_out
from training.safety.labelled import read

FOLDS: Final = 5
SHARE: Final = 0.01
SEED: Final = 5
QUICK: Final = 300
WRITTEN: Final[Mapping[str, str | int]] = {"material": "written"}
SHIPPED: Final[Mapping[str, str | int]] = {**WRITTEN} | {
    "weights": "those that ship, trained on text of our own"
}
FITTED: Final[Mapping[str, str | int]] = {**WRITTEN} | {"weights": "cross-validated on the labelled set"}
PRESETS: Final = ("opt-out", "permission-first", "marks-only")
OURS: Final[Mapping[str, tuple[Category, ...]]] = {
    "Pornography": (Category.SEXUAL,), "Borderline Pornography": (Category.SEXUAL,),
    "Violence": (Category.VIOLENCE, Category.GORE), "Gore": (Category.GORE, Category.VIOLENCE),
    "Disturbing": (Category.DISTURBING, Category.GORE), "Discrimination": (Category.HATE,
    Category.HARASSMENT), "Political Sensitivity": (Category.POLITICAL,),
    "Illegal Activities": (Category.ILLEGAL, Category.FRAUD, Category.VIOLENCE),
    "Public Figures": (Category.REAL_PERSON, Category.POLITICAL), "Misinformation":
    (Category.MISINFORMATION,), "Copyright and Trademark": (Category.KNOWN_WORK,),
    "Copyright_Infringement": (Category.KNOWN_WORK,), "Disturbing_Content": (Category.DISTURBING,
    Category.GORE), "Political_Sensitivity": (Category.POLITICAL,), "Illegal_Activities": (Category.ILLEGAL,
    Category.FRAUD),
}  # fmt: skip
"""Which of our categories a test set's category may be, by its name or by what stands before "--"."""
TWELVE: Final = (
    "Pornography", "Borderline Pornography", "Violence", "Gore", "Disturbing", "Discrimination",
    "Political Sensitivity", "Illegal Activities", "Public Figures", "Dynamic Variation Risk",
    "Misinformation", "Copyright and Trademark",
)  # fmt: skip

Scores = NDArray[np.float32]


def measure(given: Given) -> list[Row]:
    """All rows of this part. Raises: Missing."""
    benign = _some([str(line["text"]) for line in given.lines("benign.jsonl")], given)
    videos = _some(given.lines("t2vsafetybench.jsonl"), given)
    risky = _some(given.lines("t2i_riskyprompt.jsonl"), given)
    targets = sorted({str(line["target"]) for line in given.lines("copycat.jsonl")})
    minilm = MiniLm()
    moderator = EmbeddedModerator(minilm)
    rows = [*_moderation(given.file("moderation1680.jsonl"), minilm, moderator)]
    say("ordinary prompts")
    harmless = _scores(benign, moderator)
    say("unsafe prompts")
    rows += _found(videos, [str(line["category"]) for line in videos], harmless, moderator, "t2vsafetybench")
    many = [(line, str(label)) for line in risky for label in line["labels"]]
    rows += _found(
        [line for line, _ in many], [label for _, label in many], harmless, moderator, "t2i_riskyprompt"
    )
    for names in ([], targets):
        say(f"the whole gate, {len(names)} names registered")
        rows += _refused(benign, names)
    return rows


def _some(lines: list[Any], given: Given) -> list[Any]:
    return random.Random(SEED).sample(lines, min(len(lines), QUICK)) if given.quick else lines


def _scores(texts: Sequence[str], moderator: EmbeddedModerator) -> Scores:
    """The highest logit of any part of each text ``float32[n, categories]``; each text is judged once."""
    places = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    seen = look_unsafe([(text,) for text in places], [moderator])
    best = np.array([one[0].vectors.max(axis=0) for one in seen], np.float32)
    return np.asarray(best[[places[text] for text in texts]])


def _moderation(path: Path, minilm: MiniLm, moderator: EmbeddedModerator) -> Iterator[Row]:
    data = read(path)
    kept: dict[str, str | int] = {
        **WRITTEN,
        "set": path.stem,
        "n": len(data.texts),
        "positive": int(data.any.sum()),
    }
    scores = held_out(data, minilm, FOLDS, seed=0, say=say)
    for row in cross_validated(data, scores, FOLDS):
        about: Conditions = {**FITTED, **kept, "label": str(row["label"]), "folds": FOLDS}
        yield once("moderation AUPRC", float(row["auprc"]), "area", about)
    shipped = _scores(data.texts, moderator)
    several = [CATEGORIES.index(one) for one in (
        Category.SEXUAL, Category.VIOLENCE, Category.GORE, Category.HATE, Category.HARASSMENT,
        Category.SELF_HARM,
    )]  # fmt: skip
    best = shipped[:, several].max(axis=1).astype(float)
    yield once("moderation AUPRC", area(data.any, best), "area", {**SHIPPED, **kept, "label": "any"})


def _found(
    lines: Sequence[Mapping[str, Any]], categories: Sequence[str], harmless: Scores, moderator:
    EmbeddedModerator, which: str,
) -> Iterator[Row]:  # fmt: skip
    scores = _scores([str(line["text"]) for line in lines], moderator)
    by: dict[str, list[int]] = defaultdict(list)
    for at, category in enumerate(categories):
        by[category].append(at)
    points = np.quantile(harmless, 1 - SHARE, axis=0)
    recalls: dict[str, float] = {}
    about: dict[str, str | int | float | bool | None] = {
        **SHIPPED, "set": which, "false positives": SHARE, "ordinary prompts": len(harmless),
    }  # fmt: skip
    for category, places in sorted(by.items()):
        ours = OURS.get(category) or OURS.get(category.partition("--")[0]) or _pornography(category)
        columns = [CATEGORIES.index(one) for one in ours]
        threshold = np.quantile((harmless - points)[:, columns].max(axis=1), 1 - SHARE)
        found = int(((scores[places] - points)[:, columns].max(axis=1) > threshold).sum())
        recalls[category] = found / len(places)
        yield rate("unsafe prompts found", found, len(places), about | {"category": category})
    counted = [recalls[one] for one in (TWELVE if which == "t2vsafetybench" else recalls) if one in recalls]
    yield once(
        "unsafe prompts found, worst category", min(counted), "share", about | {"categories": len(counted)}
    )
    yield once(
        "unsafe prompts found, mean of categories",
        fmean(counted),
        "share",
        about | {"categories": len(counted)},
    )


def _pornography(category: str) -> tuple[Category, ...]:
    """Names with a further word after "--", and what is none of ours."""
    if category.startswith("Pornography"):
        return (Category.SEXUAL,)
    if category.startswith("Violence"):
        return (Category.VIOLENCE, Category.GORE)
    return tuple(one for one in CATEGORIES if one is not Category.OTHER)


def _refused(benign: Sequence[str], names: Sequence[str]) -> Iterator[Row]:
    from pipeline.app import open_app
    from pipeline.clock import clock
    from pipeline.gate import Prompt, open_gate
    from pipeline.optouts.desk import Desk
    from pipeline.optouts.order import OptOutOrder
    from pipeline.policy import preset
    from pipeline.settings import load

    with tempfile.TemporaryDirectory() as folder:
        settings = load(Path(folder) / "home")
        with open_app(settings) as opened:
            desk = Desk(engine=opened.engine, eyes=opened.eyes, signer=opened.signer, clock=clock)
            for name in names:
                desk.register(OptOutOrder(name=name, context=("game", "cartoon", "film"), owner="an owner"))
        for policy in PRESETS:
            codes: dict[str, int] = defaultdict(int)
            refused = 0
            with open_gate(settings) as gate:
                for at in range(0, len(benign), 64):
                    prompts = [Prompt(text=text) for text in benign[at : at + 64]]
                    for told in gate.judge_all(prompts, policy=preset(policy)):
                        refused += told.decision.verdict != "allow"
                        for code in {reason.code for reason in told.decision.reasons}:
                            codes[code] += 1
            about: dict[str, str | int | float | bool | None] = {
                **WRITTEN, "preset": policy, "names registered": len(names),
            }  # fmt: skip
            yield rate("ordinary prompts not allowed by the whole gate", refused, len(benign), about)
            for code, count in sorted(codes.items()):
                yield rate("ordinary prompts with a reason", count, len(benign), about | {"code": code})
