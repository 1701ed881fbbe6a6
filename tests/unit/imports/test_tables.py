"""Catalogues as spreadsheets write them: what is in a cell, what is wrong with a line, and nothing else."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ImportRefused, LimitExceeded, UsageError
from pipeline.imports.catalogue import read_catalogue
from pipeline.imports.table import COLUMNS, guarded, joined, plain, read_table, split, write_table
from pipeline.optouts import lines

HEAD = "member,name,aliases,name:ja,name:pt-BR,description,context,references,mode\r\n"
ROW = (
    '"Studio, Example",Zorblax the Brave,Zorblax|Zorbi Blax,ゾーブラックス,,'
    '"a fox\r\nwith tails",,a.png|b/c.png,ask\r\n'
)
TOLD: dict[str, Any] = {
    "member": "Studio, Example", "name": "Zorblax the Brave", "aliases": ["Zorblax", "Zorbi Blax"],
    "names": {"ja": ["ゾーブラックス"]}, "description": "a fox\r\nwith tails",
    "references": ["a.png", "b/c.png"], "mode": "ask",
}  # fmt: skip


def read(text: str | bytes) -> list[Any]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_table(io.BytesIO(data)))


def written(folder: Path, text: str | bytes, name: str = "subjects.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_row_is_what_its_columns_say(mark: str, end: str) -> None:
    text = (mark + HEAD + ROW).replace("\r\n", end)
    expected = TOLD | {"description": TOLD["description"].replace("\r\n", end)}
    assert read(text) == [(2, expected)]


def test_european_and_tabbed_tables_are_told_by_their_head() -> None:
    european = 'Name;Description;Aliases\n"Zorblax; the Brave";a fox, red;"Zor;Blax|Blaxy"\n'
    assert read(european) == [
        (2, {"name": "Zorblax; the Brave", "description": "a fox, red", "aliases": ["Zor;Blax", "Blaxy"]})
    ]  # fmt: skip
    assert read("name\tmode\nZorblax, the Brave\task\n") == [
        (2, {"name": "Zorblax, the Brave", "mode": "ask"})
    ]
    assert read("sep=;\nname;mode\nZorblax;ask\n") == [(3, {"name": "Zorblax", "mode": "ask"})]


def test_lines_are_numbered_as_an_editor_does_and_empty_rows_pass() -> None:
    text = 'name,aliases\nA b,"c d\ne f"\n,\n\nG h,\n'
    assert read(text) == [(2, {"name": "A b", "aliases": ["c d", "e f"]}), (6, {"name": "G h"})]


def test_columns_at_the_right_without_a_name_are_a_spreadsheets() -> None:
    assert read("name,mode,,\nZorblax,ask,,\n") == [(2, {"name": "Zorblax", "mode": "ask"})]
    [(number, error)] = read("name,mode,,\nZorblax,ask,,more\n")
    assert (number, "4 cells for 2 columns" in str(error)) == (2, True)


WRONG_HEADS = {
    "name,nmae\nx,y\n": "no column 'nmae'", "mode,kind\nask,person\n": "no column `name`",
    "name,name\nx,y\n": "'name' twice", "": "no column `name`", "name:ja,name:ja,name\n": "'name:ja' twice",
    "just words\n": "no column 'just words'", "name" + ",mode" * 300 + "\n": "more than 200 columns",
    "name,mode,\n,name,kind,x\n": "",
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text, said in WRONG_HEADS.items() if said])
def test_a_head_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=WRONG_HEADS[text]):
        read_catalogue(written(tmp_path, text))


def test_every_wrong_row_is_told_by_its_line(tmp_path: Path) -> None:
    rows = ["Zorblax,character,", "Up,,", ",person,", "Kimbo,song,", "Kimbo Larr,,[", "a,b,,c"]
    with_bytes = b"name,kind,near\n" + "\n".join(rows).encode() + b"\ncaf\xe9 blax,,\nZorblaxia,,\n"
    catalogue = read_catalogue(written(tmp_path, with_bytes))
    assert [entry.number for entry in catalogue.entries] == [2, 9]
    assert [(one.line, one.code) for one in catalogue.problems] == [
        (3, "name_refused"), (4, "usage"), (5, "usage"), (6, "usage"), (7, "usage"), (8, "usage")
    ]  # fmt: skip
    said = [one.message for one in catalogue.problems]
    assert "context" in said[0]
    assert "name: is missing" in said[1]
    assert "not valid UTF-8" in said[5]
    assert catalogue.lines == 8


def test_broken_quotation_marks_end_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path, 'name,mode\nZorblax,deny\n"Kimbo" Larr,\nQuimbo,ask\n')
    with pytest.raises(ImportRefused) as caught:
        read_catalogue(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3] or caught.value.problems[
        -1
    ].line == 3
    assert "from here on" in caught.value.problems[-1].message
    unclosed = written(tmp_path, "name,mode\n" + '"Zorblax,ask\n' + "x,y\n" * 50_000)
    with pytest.raises(ImportRefused, match="from here on"):
        read_catalogue(unclosed)


def test_what_is_too_large_or_another_encoding_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="UTF-16"):
        read_catalogue(written(tmp_path, "name\nZorblax\n".encode("utf-16")))
    with pytest.raises(LimitExceeded, match="longer than 1 MiB"):
        read_catalogue(written(tmp_path, "name\n" + "x" * (1 << 20) + "\n"))
    monkeypatch.setattr(lines, "MAX_LINES", 2)
    with pytest.raises(LimitExceeded, match="more than 2 lines"):
        read_catalogue(written(tmp_path, "name\nZorblax\nKimbo Larr\nQuimbo Tarr\n"))
    with pytest.raises(UsageError, match="has no line"):
        read_catalogue(written(tmp_path, "name\n\n"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_catalogue(tmp_path / "nowhere.csv")


def test_the_form_is_told_by_the_ending_or_else_by_the_content(tmp_path: Path) -> None:
    document, table = '{"name": "Zorblax"}\n', "name\nZorblax\n"
    for name, text in (
        ("a.csv", table), ("a.ndjson", document), ("a", document), ("a", table),
        ("a.txt", "\ufeff" + document),
    ):  # fmt: skip
        [entry] = read_catalogue(written(tmp_path, text, name)).entries
        assert entry.line.name == "Zorblax"
    [problem] = read_catalogue(written(tmp_path, "[1]\n", "a.ndjson")).problems
    assert "not an object" in problem.message


def test_member_is_another_word_for_owner_and_near_names_have_their_own_words(tmp_path: Path) -> None:
    row = 'member,name,near\nStudio,Zorblax,"[{""name"": ""Up"", ""context"": [""balloon""]}]"\n'
    [entry] = read_catalogue(written(tmp_path, row)).entries
    assert entry.line.owner == "Studio"
    assert [(one.text, one.tier, one.context, one.kind) for one in entry.names] == [
        ("Zorblax", "block", (), "official"), ("Up", "context", ("balloon",), "alias")
    ]  # fmt: skip
    both = read_catalogue(written(tmp_path, "member,owner,name\na,b,Zorblax\na,a,Kimbo Larr\n"))
    assert [one.line for one in both.problems] == [2]
    assert "two words for the same" in both.problems[0].message


FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "'=x", "''=x", "＝1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_harmless_and_come_back(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert plain(guarded(text)) == text
    assert guarded(f"a{text}") == f"a{text}"
    assert plain("'quoted") == "'quoted"


CHARACTERS = st.one_of(
    st.sampled_from("|\\;,\"'=+-@ \t#{}[]é文"), st.characters(codec="utf-8", exclude_categories=["C", "Z"])
)
TEXTS = st.text(CHARACTERS, min_size=1, max_size=8).map(str.strip).filter(bool)


@settings(max_examples=200)
@given(st.lists(TEXTS, max_size=4))
def test_several_texts_share_a_cell(texts: list[str]) -> None:
    assert split(joined(texts)) == texts
    assert split(plain(guarded(joined(texts)))) == texts


@settings(max_examples=100)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": TEXTS},
            optional={
                "member": TEXTS, "description": TEXTS, "aliases": st.lists(TEXTS, min_size=1, max_size=3),
                "references": st.lists(TEXTS, min_size=1, max_size=2),
                "names": st.just({"ja": ["ゾーブラックス", "a|b"]}),
                "near": st.just([{"name": "Up", "context": ["=x", "b|c"]}]),
            },
        ),
        max_size=5,
    )
)  # fmt: skip
def test_what_is_written_is_read_again(documents: list[dict[str, Any]]) -> None:
    file = io.StringIO(newline="")
    write_table(file, documents, [*COLUMNS, "name:ja"])
    assert [document for _, document in read(file.getvalue())] == documents
