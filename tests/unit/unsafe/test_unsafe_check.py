"""The check: thresholds of the space, what is quoted, what is kept, what fails closed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from classifiers.base import CheckState, Kind, Sight, Vectors
from classifiers.errors import CalibrationMissing
from classifiers.run import run_checks
from classifiers.thresholds import Calibration, Layer
from classifiers.unsafe.check import CATEGORIES, CHECK, NEVER, SURE, check_unsafe, look_unsafe
from classifiers.unsafe.taxonomy import Category, Side, code
from pipeline.sights import Sealer

VIOLENCE = code(Category.VIOLENCE, Side.PROMPT)


class WordModerator:
    """Finds one word; as sure as it is often there."""

    def __init__(
        self, word: str = "fight", category: Category = Category.VIOLENCE, *, sentences: bool = True
    ) -> None:
        self.word, self.category, self.sentences = word, category, sentences
        self.space, self.asked = f"word-{word}", list[str]()

    def judge(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        found = np.full((len(texts), len(CATEGORIES)), NEVER, np.float32)
        column = CATEGORIES.index(self.category)
        found[:, column] = [text.count(self.word) - 0.3 for text in texts]
        return found


class Broken(WordModerator):
    def judge(self, texts: Sequence[str]) -> Vectors:
        raise RuntimeError("out of memory")


def calibration(space: str, layers: Sequence[str] = (VIOLENCE,)) -> dict[str, Calibration]:
    layer = Layer(threshold=0.5, slope=1.0, intercept=0.0)
    return {
        space: Calibration(
            space=space, version=1, made={}, layers=dict.fromkeys(layers, layer),
            numbers={SURE.format(layer=name): 1.5 for name in layers},
        )
    }  # fmt: skip


def looked(*texts: str, moderator: WordModerator | None = None) -> Sight:
    [seen] = look_unsafe([texts], [moderator or WordModerator()])
    return Sight(texts=texts, seen=seen)


def test_a_category_counts_from_its_threshold_on_and_is_sure_from_the_next() -> None:
    known = calibration("word-fight")
    for text, count, sure in (("a walk", 0, False), ("a fight", 1, False), ("a fight, a fight", 1, True)):
        report = check_unsafe(looked(text), known)
        assert report.state is CheckState.COMPLETED
        assert [(one.code, one.sure) for one in report.findings] == [(VIOLENCE, sure)] * count
    assert report.scores[VIOLENCE] == pytest.approx(1.7, abs=0.01)
    assert report.findings[0].probability == pytest.approx(0.8455, abs=0.01)


def test_the_turn_and_its_words_are_quoted() -> None:
    sight = looked("They fight here. It rains.", "he smiles")
    [found] = check_unsafe(sight, calibration("word-fight")).findings
    assert (found.turn, found.quote) == (0, "They fight here. It rains.")
    words = check_unsafe(
        sight, calibration("word-fight"), lambda text, _: (text.index("fight"), text.index("fight") + 5)
    )
    assert (words.findings[0].span, words.findings[0].quote) == ((5, 10), "fight")


def test_what_only_all_turns_together_say_has_no_place() -> None:
    moderator = WordModerator("a dog\nbites")
    [found] = check_unsafe(
        looked("a dog", "bites", moderator=moderator), calibration(moderator.space)
    ).findings
    assert (found.turn, found.span, found.quote) == (1, None, "")


def test_what_was_seen_is_kept_and_says_the_same_again() -> None:
    sight = looked("a fight. a fight? a fight", "a quiet day")
    sealer = Sealer(bytes(32))
    again = sealer.load(sealer.dump(sight))
    assert [seen.kind for seen in again.seen] == [Kind.UNSAFE]
    assert check_unsafe(again, calibration("word-fight")) == check_unsafe(sight, calibration("word-fight"))


def test_only_whole_texts_go_to_a_slow_judge() -> None:
    judge = WordModerator(sentences=False)
    sight = looked("A walk. A fight!", moderator=judge)
    assert judge.asked == ["A walk. A fight!"]
    assert check_unsafe(sight, calibration(judge.space)).findings


def test_two_moderators_make_one_finding_and_each_has_its_own_calibration() -> None:
    first, second = WordModerator("fight"), WordModerator("blood")
    [seen] = look_unsafe([("fight blood blood",)], [first, second])
    sight = Sight(texts=("fight blood blood",), seen=seen)
    both = calibration(first.space) | calibration(second.space)
    [found] = check_unsafe(sight, both).findings
    assert found.sure
    with pytest.raises(CalibrationMissing):
        check_unsafe(sight, calibration(first.space))


def test_a_prompt_too_long_is_skipped_and_nothing_seen_is_never_passed() -> None:
    assert look_unsafe([("word " * 3000,), ("a walk",)], [WordModerator()])[0] == ()
    assert check_unsafe(looked("word " * 3000), {}).state is CheckState.SKIPPED
    assert check_unsafe(Sight(texts=("a walk",)), {}).state is CheckState.SKIPPED


def test_a_moderator_that_fails_leaves_the_check_unfinished() -> None:
    sight = looked("a walk", moderator=Broken())
    [report] = run_checks({CHECK: lambda: check_unsafe(sight, calibration("word-fight"))}, seconds=10)
    assert report.state is CheckState.FAILED
    [other] = run_checks(
        {
            CHECK: lambda: check_unsafe(
                replace(looked("a walk"), texts=("a. b. c.",)), calibration("word-fight")
            )
        },
        seconds=10,
    )
    assert other.state is CheckState.FAILED


def test_no_number_is_never_passed() -> None:
    class Odd(WordModerator):
        def judge(self, texts: Sequence[str]) -> Vectors:
            return np.full((len(texts), len(CATEGORIES)), np.nan, np.float32)

    sight = looked("a walk", moderator=Odd())
    [report] = run_checks({CHECK: lambda: check_unsafe(sight, calibration("word-fight"))}, seconds=10)
    assert report.state is CheckState.FAILED
