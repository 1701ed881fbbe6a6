"""How a name is likely written in other scripts, as it is suggested to its holder."""

from classifiers import native


def test_a_name_is_written_as_it_sounds() -> None:
    assert native.suggestions("Pipkin") == {"ru": "Пипкин", "ja": "ピプキン", "ko": "핍킨"}
    assert native.suggestions("The Lady Moxie")["ja"] == "ラディ・モクシ"
    assert native.suggestions("Señora Queen")["ru"] == "Сенора Квин"


def test_what_is_written_already_is_not_suggested() -> None:
    assert set(native.suggestions("Pipkin", ("Пипкин", "피프킨"))) == {"ja"}
    assert native.unknown(()) == ("zh",)
    assert native.unknown(("皮普金",)) == ()


def test_what_has_no_sound_in_latin_letters_gets_none() -> None:
    for name in ("Чебурашка", "007", "R2-D2", "ドラえもん", "…", "x" * 100):
        assert native.suggestions(name) == {}


def test_the_sentence_names_what_is_missing() -> None:
    assert native.told({}, ()) == ""
    said = native.told(native.suggestions("Pipkin"), ("zh",))
    assert "likely ru Пипкин, ja ピプキン, ko 핍킨" in said
    assert "and in zh as people call it there" in said
