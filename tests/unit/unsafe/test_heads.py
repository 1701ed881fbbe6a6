"""Concept heads: what they answer, that files are whole, and that none starts where it does not belong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import ModelUnusable
from classifiers.unsafe.check import CATEGORIES, MOST, NEVER
from classifiers.unsafe.heads import (
    JUDGED,
    ConceptHead,
    Head,
    Linear,
    Outputs,
    Texts,
    dump,
    load,
    parse,
    space_of,
)
from classifiers.unsafe.taxonomy import Category

SPACE = "clip-0011223344556677"
WIDE = 6
SEXUAL, GORE = CATEGORIES.index(Category.SEXUAL), CATEGORIES.index(Category.GORE)


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layered(outputs: Outputs = Outputs.EACH) -> Head:
    return Head(
        space=SPACE, categories=(Category.SEXUAL, None, Category.GORE), outputs=outputs,
        layers=(
            Linear(weight=numbers(5, WIDE), bias=numbers(5, seed=2), relu=True),
            Linear(weight=numbers(4, 5, seed=3), bias=numbers(4, seed=4)),
            Linear(weight=numbers(3, 4, seed=5), bias=numbers(3, seed=6)),
        ),
        made={"command": "test"},
    )  # fmt: skip


def worded() -> Head:
    vectors = numbers(6, WIDE, seed=7)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owners = np.array([-1, -1, 0, 0, 0, 1])
    texts = Texts(vectors=vectors, owners=owners, scale=20.0)
    return Head(space=SPACE, categories=(Category.SEXUAL, Category.GORE), texts=texts)


def test_layers_answer_as_torch_does() -> None:
    head, rows = layered(), 0.3 * numbers(7, WIDE, seed=8)
    model = torch.nn.Sequential(
        torch.nn.Linear(WIDE, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4), torch.nn.Linear(4, 3)
    )
    with torch.no_grad():
        for layer, ours in zip((model[0], model[2], model[3]), head.layers, strict=True):
            layer.weight.copy_(torch.from_numpy(ours.weight))  # type: ignore[operator,union-attr]
            layer.bias.copy_(torch.from_numpy(ours.bias))  # type: ignore[operator,union-attr]
        wanted = model(torch.from_numpy(rows)).numpy()
    found = head.logits(rows)
    np.testing.assert_allclose(found[:, [SEXUAL, GORE]], wanted[:, [0, 2]], atol=1e-5)
    assert (np.delete(found, [SEXUAL, GORE], axis=1) == NEVER).all()
    shares = torch.softmax(torch.from_numpy(wanted), dim=1).numpy()
    one = layered(Outputs.ONE).logits(rows)
    np.testing.assert_allclose(1 / (1 + np.exp(-one[:, SEXUAL])), shares[:, 0], atol=1e-4)


def test_words_answer_how_much_nearer_they_are_than_ordinary_ones() -> None:
    head = worded()
    assert head.texts is not None
    at_words = head.logits(head.texts.vectors)
    assert at_words[5, GORE] == at_words[:, GORE].max()
    assert (at_words[:2, [SEXUAL, GORE]] < 0).any(axis=1).all()
    twice = replace(
        head,
        texts=Texts(
            vectors=np.concatenate([head.texts.vectors, head.texts.vectors[5:]]),
            owners=np.array([-1, -1, 0, 0, 0, 1, 1]), scale=20.0,
        ),
    )  # fmt: skip
    np.testing.assert_allclose(twice.logits(head.texts.vectors), at_words, atol=1e-4)  # the same words twice


@given(st.floats(-1e6, 1e6))
def test_what_is_judged_is_never_taken_for_what_is_not(size: float) -> None:
    found = layered().logits(np.full((1, WIDE), size, np.float32))
    judged = found[0, [SEXUAL, GORE]]
    assert (judged >= JUDGED).all()
    assert (judged <= MOST).all()
    assert JUDGED > NEVER


def test_vectors_that_are_none_are_refused() -> None:
    for rows in (np.zeros((2, WIDE + 1), np.float32), np.full((1, WIDE), np.nan, np.float32)):
        with pytest.raises(ValueError, match="not of it"):
            layered().logits(rows)
    with pytest.raises(ValueError, match="no number"), np.errstate(all="ignore"):
        layered().logits(np.full((1, WIDE), 3e38, np.float32))


@pytest.mark.parametrize("head", [layered(), layered(Outputs.ONE), worded()])
def test_a_file_holds_the_head(head: Head) -> None:
    document = dump(head)
    read = parse(document)
    assert dump(read) == document
    rows = numbers(3, WIDE, seed=9)
    np.testing.assert_array_equal(read.logits(rows), head.logits(rows))
    assert (read.space, read.judged, read.made) == (SPACE, {Category.SEXUAL, Category.GORE}, head.made)
    assert read.digest[:16] in space_of(read)


def test_a_head_belongs_to_one_clip(tmp_path: Path) -> None:
    path = tmp_path / "concepts.safetensors"
    path.write_bytes(dump(layered()))
    head = ConceptHead(path, SPACE, sha256=parse(path.read_bytes()).digest.upper())
    assert head.judged == {Category.SEXUAL, Category.GORE}
    with pytest.raises(ModelUnusable, match=f"belongs to {SPACE}, and the CLIP of .* is clip-other"):
        ConceptHead(path, "clip-other")
    with pytest.raises(ModelUnusable, match="frame_head_sha256"):
        ConceptHead(path, SPACE, sha256="0" * 64)
    with pytest.raises(ModelUnusable, match="correct frame_head"):
        load(tmp_path / "nothing.safetensors")


def _broken(change: Callable[[Head], Head]) -> Callable[[], bytes]:
    return lambda: dump(change(layered()))


@pytest.mark.parametrize(
    "document",
    [
        lambda: b"",
        lambda: b"\xff" * 64,
        lambda: dump(layered())[:-8],
        lambda: dump(layered()).replace(b"concepts/1", b"concepts/9"),
        lambda: dump(layered()).replace(b"gore", b"gorp"),
        lambda: dump(layered()).replace(b"each", b"all_"),
        _broken(lambda head: replace(head, layers=head.layers[:2])),
        _broken(lambda head: replace(head, layers=(head.layers[0], head.layers[2]))),
        _broken(lambda head: replace(head, categories=(None, None, None))),
        _broken(lambda head: replace(head, layers=())),
        _broken(lambda head: replace(head, texts=worded().texts)),
        _broken(lambda head: replace(
            head, layers=(*head.layers[:2], replace(head.layers[2], bias=np.full(3, np.inf, np.float32)))
        )),
        lambda: dump(replace(worded(), categories=(Category.SEXUAL, Category.GORE, Category.HATE))),
        lambda: dump(replace(worded(), texts=replace(worded().texts, scale=0.0))),  # type: ignore[type-var]
    ],
)  # fmt: skip
def test_what_is_no_head_is_refused_with_one_sentence(document: Callable[[], bytes]) -> None:
    with pytest.raises(ModelUnusable, match="damaged, or no concept head") as told:
        parse(document())
    assert "\n" not in str(told.value)


@given(st.data())
def test_a_damaged_file_is_refused_or_the_same(data: st.DataObject) -> None:
    document = bytearray(dump(layered()))
    at = data.draw(st.integers(0, 8 + int.from_bytes(document[:8], "little") - 1))
    document[at] = data.draw(st.integers(0, 255))
    try:
        head = parse(bytes(document))
    except ModelUnusable:
        return
    assert head.logits(numbers(2, WIDE)).shape == (2, len(CATEGORIES))


def test_the_format_is_written_down() -> None:
    document = dump(layered())
    header = json.loads(document[8 : 8 + int.from_bytes(document[:8], "little")])
    told = json.loads(header["__metadata__"]["countermark"])
    assert told["format"] == "countermark-concepts/1"
    assert told["space"] == SPACE
    assert told["relu"] == [True, False, False]
    assert told["categories"] == ["sexual", "", "gore"]
