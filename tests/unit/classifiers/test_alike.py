"""What a judge is asked about look-alikes, and how its answers are understood: a real small chat model."""

import json
import re
import sys
import threading
import time
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import tiny_chat

from classifiers.alike import (
    CERTAIN,
    MOST_LETTERS,
    MOST_SUBJECTS,
    Discerner,
    Entry,
    Likeness,
    question_digest,
    questions,
)
from classifiers.judge_forms import UnreadableAnswer
from classifiers.judges import Answer, ChatJudge, open_judge

FOX = Entry(
    subject="s1", kind="character", name="Tarrow", attributes=("a fox with a lamp", "a moss cloak"),
    exclusions=("ordinary foxes",),
)  # fmt: skip
MEANT, OTHER, TORN = "a fox with a lamp in moss", "a fox on a hill", "a cloak"


def lessons(text: str, same: str, other: str) -> list[tuple[str, str]]:
    first, second = questions([text], FOX)
    return [(first, same), (second, other)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> ChatJudge:
    learnt = [*lessons(MEANT, "yes", "no"), *lessons(OTHER, "no", "yes"), *lessons(TORN, "yes", "yes")]
    found = open_judge(str(tiny_chat.save(tmp_path_factory.mktemp("judge"), learnt)))
    assert isinstance(found, ChatJudge)
    return found


def discerner(judge: object, seconds: float = 60) -> Discerner:
    return Discerner(judge, model="tiny", digest="d", seconds=seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "likeness", "why"),
    [
        (MEANT, Likeness.SAME, ""),
        (OTHER, Likeness.SIMILAR, ""),
        (TORN, Likeness.UNKNOWN, "the other way round"),
    ],
)
def test_an_answer_counts_if_it_holds_both_ways_round(
    judge: ChatJudge, text: str, likeness: Likeness, why: str
) -> None:
    [said] = discerner(judge).ask([text], [FOX])
    assert (said.subject, said.likeness) == ("s1", likeness)
    assert why in said.why
    assert said.question == question_digest([text], FOX) != question_digest([text + "s"], FOX)


def test_a_prompt_that_the_judge_would_see_in_part_is_not_asked_about(judge: ChatJudge) -> None:
    [said] = discerner(judge).ask(["fox", "fox " * (MOST_LETTERS // 4)], [FOX])
    assert (said.likeness, said.question) == (Likeness.UNKNOWN, "")
    assert "letters" in said.why
    with pytest.raises(UnreadableAnswer, match="pieces"):
        judge.ask("fox " * 5000)


def test_marks_of_the_template_are_none_in_a_question(judge: ChatJudge) -> None:
    read = judge._read([{"role": "user", "content": "a <judge> yes <user> no <<judge>judge>"}], {})
    pieces = judge._words.convert_ids_to_tokens(read["input_ids"][0].tolist())
    assert [piece for piece in pieces if piece in tiny_chat.MARKS[2:]] == ["<user>", "<judge>"]


@given(text=st.text(max_size=300), name=st.text(max_size=40), attribute=st.text(max_size=200))
def test_nothing_in_a_prompt_or_an_entry_ends_its_quotation(text: str, name: str, attribute: str) -> None:
    entry = Entry(subject="s", kind="character", name=name, attributes=(attribute, "b"), exclusions=(text,))
    plain = Entry(subject="s", kind="character", name="n", attributes=("a", "b"), exclusions=("x",))
    for asked, bare in zip(questions([text], entry), questions(["t"], plain), strict=True):
        frame = [re.sub(r'("[^"]*"(, )?)+', "", line) for line in asked.split("\n")]
        assert [line.replace("(nothing named)", "") for line in frame] == [
            re.sub(r'("[^"]*"(, )?)+', "", line) for line in bare.split("\n")
        ]
        for quoted in re.findall(r'"[^"]*"', asked):
            assert not any(category(letter)[0] == "C" for letter in json.loads(quoted))


class Answers:
    """Says what it was made to say."""

    def __init__(self, *answers: Answer | Exception, wait: float = 0.0) -> None:
        self._answers, self._wait, self.asked = answers, wait, 0

    def ask(self, _question: str) -> Answer:
        time.sleep(self._wait)
        answer = self._answers[self.asked % len(self._answers)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


YES, NO = Answer(text=" Yes.", probability=0.99), Answer(text="no", probability=0.01)


@pytest.mark.parametrize(
    "answers",
    [
        (RuntimeError("out of memory"),), (YES, RuntimeError("x")), (YES, YES), (NO, NO),
        (Answer(text="Yes, but", probability=0.99), NO), (Answer(text="", probability=0.99), NO),
        (Answer(text="yes", probability=CERTAIN - 0.01), NO), (YES, Answer(text="no", probability=0.21)),
        (Answer(text="yes", probability=float("nan")), NO), (Answer(text="maybe", probability=1.0), NO),
        (Answer(text="yes", probability=0.01), NO),
    ],
)  # fmt: skip
def test_anything_else_is_unknown(answers: tuple[Answer | Exception, ...]) -> None:
    [said] = discerner(Answers(*answers)).ask(["a fox"], [FOX])
    assert said.likeness is Likeness.UNKNOWN
    assert said.why


def test_questions_are_counted_and_have_their_time() -> None:
    entries = [Entry(subject=str(n), kind="character", name="n", attributes=("a",)) for n in range(9)]
    judge = Answers(YES, NO)
    said = discerner(judge).ask(["x"], entries)
    assert judge.asked == 2 * MOST_SUBJECTS
    assert [one.subject for one in said] == [one.subject for one in entries]
    assert [one.likeness for one in said] == ["same"] * MOST_SUBJECTS + ["unknown"] * (9 - MOST_SUBJECTS)
    slow = discerner(Answers(YES, NO, wait=0.6), seconds=0.9)
    begun = time.monotonic()
    late = slow.ask(["x"], entries[:2])
    assert time.monotonic() - begun < 5
    assert [one.likeness for one in late] == ["unknown", "unknown"]
    assert "over 0.9 s" in late[0].why
    busy: list[str] = []
    stuck = discerner(Answers(YES, NO, wait=2), seconds=0.2)
    stuck.ask(["x"], entries[:1])
    thread = threading.Thread(target=lambda: busy.extend(one.why for one in stuck.ask(["x"], entries[:1])))
    thread.start()
    thread.join(10)
    assert "busy" in busy[0]
