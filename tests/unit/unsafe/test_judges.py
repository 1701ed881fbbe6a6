"""Judges that an operator brings: chat models with forms of their own, and classifiers with labels."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_judges
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import ModelUnusable
from classifiers.judge_forms import FORMS, SURELY, UnreadableAnswer, label_category, read_llama, read_qwen
from classifiers.judge_source import find_judge, judge_digest
from classifiers.judges import MAX_PARTS, ChatJudge, LabelJudge, TooLong, in_parts, open_judge
from classifiers.unsafe.check import CATEGORIES, NEVER
from classifiers.unsafe.taxonomy import Category

BAD, GOOD = "a man hits a man", "a cat on a mat"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lessons = [(BAD, "unsafe\nS1"), (GOOD, "safe")]
    return tiny_judges.save_chat(
        tmp_path_factory.mktemp("llama"), lessons, name="meta-llama/Llama-Guard-3-1B"
    )


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_judges.save_labels(tmp_path_factory.mktemp("labels"), ["safe", "violence", "sexual"])


def test_a_guard_model_is_read_in_its_own_form(llama: Path) -> None:
    judge = open_judge(str(llama))
    assert isinstance(judge, ChatJudge)
    assert judge.space == f"judge-{judge_digest(llama)[:16]}-llama-guard"
    rows = judge.judge([BAD, GOOD])
    violence = CATEGORIES.index(Category.VIOLENCE)
    assert rows.shape == (2, len(CATEGORIES))
    assert rows[0, violence] > 0 > rows[1, violence]
    assert (rows[1] < 0).all()


def test_an_answer_in_another_form_is_no_answer(llama: Path) -> None:
    judge = open_judge(str(llama), form="qwen3guard")
    with pytest.raises(UnreadableAnswer):
        judge.judge([BAD])


def test_any_question_has_a_probability(tmp_path: Path) -> None:
    ask = "{}\nAnswer with one word, yes or no."
    lessons = [(ask.format("Is it red?"), "yes"), (ask.format("Is it blue?"), "no")]
    judge = open_judge(str(tiny_judges.save_chat(tmp_path, lessons)))
    assert isinstance(judge, ChatJudge)
    assert judge.ask("Is it red?").probability > 0.9
    assert judge.ask("Is it blue?").probability < 0.1


def test_a_long_or_broken_text_is_not_feared(tmp_path: Path) -> None:
    judge = open_judge(str(tiny_judges.save_chat(tmp_path, [])), form="granite-guardian")
    rows = judge.judge(["x" * 5_000, "\ud800\0", ""])
    assert np.isfinite(rows).all()
    assert set(FORMS["granite-guardian"].questions) == {
        category for category, share in zip(CATEGORIES, rows[0], strict=True) if share > NEVER
    }


def _reads(word: str, most: int) -> Callable[[str], list[float]]:
    def judged(text: str) -> list[float]:
        if len(text) > most:
            raise TooLong(text[:10])
        return [float(word in text)] * len(CATEGORIES)

    return judged


@given(st.integers(0, 6_000), st.integers(0, 6_000), st.integers(1_000, 3_000))
def test_what_stands_anywhere_in_a_long_text_is_seen(before: int, after: int, most: int) -> None:
    word = "he hits the man " * 6
    text = "y" * before + word + "z" * after
    assert (in_parts(_reads(word, most), [text, "y" * before]) == [[1.0], [0.0]]).all()


def test_a_text_of_too_many_parts_is_not_judged() -> None:
    with pytest.raises(TooLong):
        in_parts(_reads("", 500), ["y" * 500 * 2 * MAX_PARTS])


def test_a_chat_judge_sees_the_end_of_a_long_text(tmp_path: Path) -> None:
    judge = open_judge(str(tiny_judges.save_chat(tmp_path, [])), form="granite-guardian")
    alike, other = judge.judge(["x" * 5_000, "x" * 4_900 + " a man hits a man" * 20])
    assert (alike != other).any()


@pytest.mark.parametrize("template", ["words", "{{ messages", "{% for message in messages %}x{% endfor %}"])
def test_a_template_that_does_not_say_what_is_asked_is_refused(tmp_path: Path, template: str) -> None:
    folder = tiny_judges.save_chat(tmp_path, [])
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelUnusable, match="fetch it again"):
        open_judge(str(folder))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = tiny_judges.save_chat(tmp_path, [])
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2] + b"\xff" * (len(weights) // 2))
    with pytest.raises(ModelUnusable, match="no number"):
        open_judge(str(folder))


def test_labels_are_categories(labels: Path) -> None:
    judge = open_judge(str(labels))
    assert isinstance(judge, LabelJudge)
    rows = judge.judge([BAD, "y" * 2_000])
    known = {category for category, share in zip(CATEGORIES, rows[0], strict=True) if share > NEVER}
    assert known == {Category.VIOLENCE, Category.SEXUAL}
    shares = 1 / (1 + np.exp(-rows[:, [CATEGORIES.index(one) for one in sorted(known)]]))
    assert (shares.sum(axis=1) < 1).all()  # the rest is the label that all is well


def test_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder = tiny_judges.save_labels(tmp_path, ["LABEL_0", "LABEL_1"])
    with pytest.raises(ModelUnusable, match="id2label"):
        open_judge(str(folder))


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("NSFW", Category.SEXUAL), ("SFW", None), ("normal", None), ("not_toxic", None), ("non-violent",
        None), ("sexual/minors", Category.MINORS), ("self-harm", Category.SELF_HARM), ("threat",
        Category.VIOLENCE), ("identity_hate", Category.HATE), ("toxic", Category.HARASSMENT), ("unsafe",
        Category.OTHER), ("violence/graphic", Category.GORE), ("LABEL_1", None),
    ],
)  # fmt: skip
def test_what_labels_mean(label: str, category: Category | None) -> None:
    assert label_category(label) is category


def test_forms_read_what_their_models_write() -> None:
    assert read_qwen("Safety: Unsafe\nCategories: Violent, PII")[Category.VIOLENCE] == SURELY
    assert (
        0.5
        < read_qwen("Safety: Controversial\nCategories: Sexual Content or Sexual Acts")[Category.SEXUAL]
        < 0.9
    )
    assert max(read_qwen("Safety: Safe\nCategories: None").values()) < 0.1
    assert read_qwen("Safety: Unsafe")[Category.OTHER] == SURELY
    assert read_llama("\n\nunsafe\nS10,S12")[Category.HATE] == SURELY
    assert read_llama("\n\nunsafe\nS10,S12")[Category.SEXUAL] == SURELY
    assert read_llama("unsafe")[Category.OTHER] == SURELY
    assert max(read_llama("safe").values()) < 0.1
    for read in (read_qwen, read_llama):
        for answer in ("", "I think this is fine", "Sure! Here is", "saf"):
            with pytest.raises(UnreadableAnswer):
                read(answer)


def test_only_safetensors_of_the_right_digest_and_no_code(labels: Path, tmp_path: Path) -> None:
    digest = judge_digest(labels)
    assert find_judge(str(labels), digest.upper()).digest == digest
    with pytest.raises(ModelUnusable, match="digest"):
        find_judge(str(labels), "0" * 64)
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(labels / name)
    config = json.loads((labels / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(ModelUnusable, match="code"):
        find_judge(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelUnusable, match="pickles"):
        find_judge(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen3Guard-Gen-0.6B", "owner/name@main", "nowhere", "a/b@" + "0" * 39]
)
def test_a_hub_model_needs_a_commit_and_a_digest(name: str) -> None:
    with pytest.raises(ModelUnusable, match="commit"):
        find_judge(name)
    with pytest.raises(ModelUnusable, match="prompt_judge_sha256"):
        find_judge("owner/name@" + "a" * 40)


def test_a_damaged_judge_is_unusable(labels: Path, tmp_path: Path) -> None:
    for path in labels.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ModelUnusable):
        open_judge(str(tmp_path))
