"""Names of orders: measured before they are registered, and their holder is told."""

import pytest

from classifiers.errors import NameRefused
from pipeline.optouts.naming import Named, more_names, named, named_all
from pipeline.optouts.order import OptOutOrder


def order(name: str, **more: object) -> OptOutOrder:
    return OptOutOrder.model_validate({"name": name, **more})


def test_what_ordinary_prompts_have_needs_context_words() -> None:
    with pytest.raises(NameRefused, match=r"Golden Retriever.*A golden retriever runs") as refused:
        named(order("Golden Retriever"))
    assert "context" in str(refused.value)
    made = named(order("Golden Retriever", context=("Bluntsville",)))
    assert [(one.tier, one.context) for one in made.names] == [("context", ("Bluntsville",))]
    assert (made.told[0].tier, made.told[0].fit.hits) == ("needs context", 0)


def test_context_words_that_everybody_writes_do_not_help() -> None:
    with pytest.raises(NameRefused, match="ordinary prompts although"):
        named(order("Up", context=("a", "the", "of")))


def test_an_unambiguous_name_is_told_as_such() -> None:
    made = named(order("Zorblax the Brave", aliases=("Zorblax",), names={"ja": ["ゾーブラックス"]}))
    assert [(one.text, one.tier) for one in made.told] == [
        ("Zorblax the Brave", "unambiguous"), ("Zorblax", "unambiguous"), ("ゾーブラックス", "unambiguous"),
    ]  # fmt: skip
    assert [(one.kind, one.language) for one in made.names] == [
        ("official", ""), ("alias", ""), ("native", "ja"),
    ]  # fmt: skip
    told = made.told[0].to_json()
    assert (told["hits"], told["examples"]) == (0, [])
    assert int(str(told["prompts"])) > 700
    assert "unambiguous, found in 0 of" in made.told[0].sentence()


def test_of_many_orders_each_has_its_own_answer() -> None:
    found = named_all(
        [
            order("Zorblax"),
            order("Black Cat"),
            order("x"),
            order("Up", context=("Bluntsville",)),
        ]
    )
    assert [type(one) for one in found] == [Named, NameRefused, NameRefused, Named]


def test_more_names_are_aliases_alone() -> None:
    assert more_names(order("Golden Retriever")).names == ()
    more = more_names(order("Golden Retriever", aliases=("Zorbi", "Zorbo")))
    assert [(one.text, one.kind) for one in more.names] == [("Zorbi", "alias"), ("Zorbo", "alias")]


def test_forms_in_other_scripts_are_suggested_for_the_first_name() -> None:
    made = named(order("Pipkin", aliases=("Pipkin the Small",), names={"ja": ["ピプキン"]}))
    first, second, _ = made.told
    assert first.to_json()["suggested"] == {"ru": "Пипкин", "ko": "핍킨"}
    assert first.to_json()["unwritten"] == ["zh"]
    assert "likely ru Пипкин, ko 핍킨; and in zh as people call it there" in first.sentence()
    assert (second.suggested, second.unwritten) == ({}, ())
    assert "other scripts" not in more_names(order("Pipkin", aliases=("Pipko",))).told[0].sentence()
