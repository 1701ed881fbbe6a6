"""What files that a clip is made from make of its parents and of its credential."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import clock
from pipeline.credentials.labels import TRAINED_ALGORITHMIC_MEDIA
from pipeline.credentials.manifest import input_label
from pipeline.credentials.read import IngredientJudgement, IngredientKind
from pipeline.credentials.reading import PARENT, CredentialReading, CredentialState
from pipeline.errors import UsageError
from pipeline.orders import GuardOrder, inputs_of
from pipeline.policy import Sound
from pipeline.release.credential import Generated, Imported
from pipeline.release.inbound import _generated, given_files, origin_of, parents, told
from pipeline.release.staging import Staging
from pipeline.settings import load
from registry.ids import new_id
from registry.store import FileStore
from registry.types import Parent

MADE = {"generator": "TinyPipeline", "version": "weights", "salt": "00", "sha256": "11"}
FACTS: Any = {"prompt_digest": "salted sha256:22"}


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(FileStore(tmp_path / "files"), new_id(clock()), "owner")


def row(label: str = PARENT, relation: str = "guard", **more: Any) -> dict[str, Any]:
    usual = {
        "label": label, "relation": relation, "name": "a.mp4", "sha256": "33", "media": "video/mp4",
        "picture": False, "credential": "none", "urn": None, "archive": None, "mark": None,
        "generated": False, "releases": {},
    }  # fmt: skip
    return usual | more


def test_each_release_is_a_parent_once_by_what_is_best_known() -> None:
    rows = [
        row(input_label(0), "remix", releases={"hidden_mark": "b", "credential": "a"}),
        row(releases={"hidden_mark": "a"}),
        row(input_label(1), "remix", releases={"credential": "b"}),
    ]
    assert parents({"files": rows}) == (
        Parent(release="a", relation="remix", evidence="credential"),
        Parent(release="b", relation="remix", evidence="credential"),
    )
    assert parents({}) == ()


def test_the_public_credential_names_no_file(staging: Staging) -> None:
    assert told({"files": [row(name="secret plan.mp4")]}) == [
        {"label": PARENT, "relation": "guard", "credential": "none", "mark": None}
    ]
    made = origin_of(MADE, FACTS, {"files": [row(input_label(0), "remix", name="secret.png")]}, staging)
    assert isinstance(made, Generated)
    [source] = made.making.inputs
    assert "secret" not in source.title
    assert "33" not in source.digest.split(":")[0]
    assert source.digest.startswith("salted sha256:")


def test_what_nobody_here_made_was_opened(staging: Staging) -> None:
    brought = {"files": [row(), row(input_label(0), "remix")]}
    found = origin_of({"file": "x", "sha256": "11"}, {}, brought, staging)
    assert isinstance(found, Imported)
    assert (found.parent.label, found.parent.digest) == (PARENT, "sha256:33")


@pytest.mark.parametrize("of_a_model", [True, False])
def test_what_a_model_went_on_with_was_opened_and_the_rest_are_inputs(
    staging: Staging, of_a_model: bool
) -> None:
    rows = [row(input_label(0), "remix"), row(PARENT, "extend", generated=of_a_model)]
    found = origin_of(MADE, FACTS, {"files": rows}, staging)
    assert isinstance(found, Generated)
    assert found.extends is not None
    assert found.of_a_model is of_a_model
    assert [source.label for source in found.making.inputs] == [input_label(0)]


def test_the_clip_that_is_continued_is_told_from_the_others(staging: Staging, tmp_path: Path) -> None:
    clip, old, other = (tmp_path / name for name in ("clip", "old", "other"))
    for path in (clip, old, other):
        path.write_bytes(path.name.encode())
    order: dict[str, Any] = {
        "source": clip, "policy": "marks-only", "sound": Sound.HOLD, "prompt": "on and on",
        "maker": ("TinyPipeline", "weights"), "material": (other, old), "extends": old,
    }  # fmt: skip
    inputs = inputs_of(GuardOrder(**order), load(tmp_path / "home"))
    found = given_files(inputs, staging, None)
    assert [(file.label, file.relation) for file in found] == [("input-0", "remix"), (PARENT, "extend")]
    for wrong, words in (({"material": (other,)}, "name it there"), ({"prompt": None}, "with its prompt")):
        with pytest.raises(UsageError, match=words):
            inputs_of(GuardOrder(**order | wrong), load(tmp_path / "home"))


@pytest.mark.parametrize(
    ("kind", "actions", "types", "made"),
    [
        ("ours", ("c2pa.opened", "c2pa.edited"), (TRAINED_ALGORITHMIC_MEDIA,), True),
        ("trusted", ("c2pa.created",), (TRAINED_ALGORITHMIC_MEDIA,), True),
        (
            "trusted",
            ("c2pa.opened", "c2pa.edited"),
            (TRAINED_ALGORITHMIC_MEDIA,),
            False,
        ),  # of filmed pictures
        ("trusted", ("c2pa.created", "c2pa.placed"), (TRAINED_ALGORITHMIC_MEDIA,), False),
        ("trusted", ("c2pa.created",), (), False),
        ("untrusted", ("c2pa.created",), (TRAINED_ALGORITHMIC_MEDIA,), False),
    ],
)
def test_a_clip_is_a_models_altogether_if_somebody_who_is_believed_says_so(
    kind: str, actions: tuple[str, ...], types: tuple[str, ...], made: bool
) -> None:
    reading = CredentialReading(state=CredentialState.PRESENT, actions=actions, digital_source_types=types)
    judged = IngredientJudgement(kind=IngredientKind(kind), reading=reading, media="video/mp4", archive=None)
    assert _generated(judged) is made
