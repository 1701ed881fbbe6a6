"""What is exported is the holder's own, and importing it changes nothing."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_builders import catalogue, importer_in, order, pictures_in
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.imports.catalogue import read_catalogue
from pipeline.imports.export import export_lines, write_csv, write_ndjson
from pipeline.imports.importer import Importer
from pipeline.imports.types import ImportOrder
from pipeline.optouts.order import MAX_NAMES
from registry import optouts
from registry.subject_types import NameDraft, OptOutDraft, ReferenceDraft

NAMES = st.sampled_from(["Zorblax", "Кимбо Ларр", "ゾーブラックス", "=Kimbo|Larr", "Up", "Quimbo \\ Tarr"])
WORDS = st.lists(st.sampled_from(["balloon", "old man", "-x|y"]), min_size=1, max_size=2, unique=True)
LINES = st.fixed_dictionaries(
    {"name": st.sampled_from(["Zorblax", "Blaxy Zor", "Up"]), "context": WORDS},
    optional={
        "member": st.sampled_from(["Studio A", "@Studio B"]), "kind": st.sampled_from(["character", "logo"]),
        "aliases": st.lists(NAMES, max_size=3), "names": st.dictionaries(
            st.sampled_from(["ja", "pt-BR"]), st.lists(NAMES, min_size=1, max_size=2), max_size=2
        ),
        "description": st.sampled_from(["a fox, red; with \"tails\"", "+1"]), "mode": st.just("ask"),
        "attributes": st.lists(st.sampled_from(["a|b", "=c"]), min_size=1, max_size=2),
        "references": st.lists(st.sampled_from(["0.png", "1.png"]), max_size=2, unique=True),
        "negatives": st.lists(st.just("2.png"), max_size=1),
        "work": st.sampled_from(["Zorblax II", "Zor: Blax"]),
        "near": st.just(
            [{"name": "Down", "context": ["zorlift", "quix"]}, {"name": "Zorblaxia", "context": ["x y"]}]
        ),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures_in(tmp_path_factory.mktemp("pictures"))


def exported(importer: Importer, folder: Path, form: str, owner: str | None = None) -> Path:
    path = folder / f"export.{form}"
    with path.open("w", encoding="utf-8", newline="") as file:
        (write_csv if form == "csv" else write_ndjson)(file, export_lines(importer.engine, owner))
    return path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=4), form=st.sampled_from(["csv", "ndjson"]))
def test_importing_an_export_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, lines: list[dict[str, Any]], form: str
) -> None:
    folder = tmp_path_factory.mktemp("home")
    importer = importer_in(folder)
    importer.run(order(catalogue(folder, *lines), pictures))
    again = ImportOrder(file=exported(importer, folder, form))
    assert {plan.outcome for plan in importer.plan(again)} == {"unchanged"}
    report = importer.run(again).run
    assert report.unchanged == report.lines
    importer.engine.dispose()


def test_an_export_begins_another_registry_with_the_same_wishes(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = importer_in(tmp_path / "a"), importer_in(tmp_path / "b")
    fox = {"name": "Zorblax", "member": "Studio A", "names": {"ja": ["ゾーブラックス"]}}
    lines = [fox | {"description": "a fox"}, {"name": "Kimbo Larr", "member": "Studio B", "work": "Larr"}]
    first.run(order(catalogue(tmp_path, *lines), pictures))
    second.run(ImportOrder(file=exported(first, tmp_path, "csv")))
    told = [list(export_lines(one.engine)) for one in (first, second)]
    assert sorted(told[0], key=str) == sorted(told[1], key=str)
    assert [line["name"] for line in export_lines(first.engine, "Studio B")] == ["Kimbo Larr"]
    [withdrawn] = optouts.list_subjects(first.engine, owner="Studio B")
    optouts.withdraw(first.engine, withdrawn.id, why={}, now=first.clock(), sign_checkpoint=first.signer)
    assert [line["name"] for line in export_lines(first.engine)] == ["Zorblax"]
    for one in (first, second):
        one.engine.dispose()


def test_more_than_a_line_holds_takes_several(tmp_path: Path) -> None:
    importer = importer_in(tmp_path)
    names = tuple(NameDraft(text=f"Zorblax {number}xyz") for number in range(2 * MAX_NAMES))
    shown = tuple(
        ReferenceDraft(sha256=f"{number:064x}", polarity=1 if number % 2 else -1, width=99, height=99)
        for number in range(450)
    )
    made = OptOutDraft(kind="character", name="Zorblax", owner="A", names=(NameDraft(text="Zorblax"), *names),
                       references=shown)  # fmt: skip
    optouts.add(importer.engine, made, now=importer.clock(), sign_checkpoint=importer.signer)
    path = exported(importer, tmp_path, "ndjson")
    assert len(read_catalogue(path).entries) == 3
    assert {plan.outcome for plan in importer.plan(ImportOrder(file=path))} == {"unchanged"}
    importer.engine.dispose()


def test_no_cell_of_an_export_is_a_formula(tmp_path: Path) -> None:
    importer = importer_in(tmp_path)
    importer.run(
        order(catalogue(tmp_path, {"name": "=cmd|' /C calc'!A0", "member": "@SUM(1)", "description": "-2"}))
    )
    file = io.StringIO(newline="")
    write_csv(file, export_lines(importer.engine))
    row = file.getvalue().splitlines()[1]
    assert not [cell for cell in row.split(",") if cell.strip('"').startswith(("=", "@", "-", "+"))]
    importer.engine.dispose()


def test_the_command_writes_a_file_once(tmp_path: Path) -> None:
    home, out = ["--home", str(tmp_path / "home")], tmp_path / "mine.csv"
    asked = catalogue(tmp_path, {"name": "Zorblax", "member": "Studio A"})
    runner = CliRunner()
    assert runner.invoke(app, ["import", "run", str(asked), *home]).exit_code == 0
    made = runner.invoke(app, ["export", "--owner", "studio a", "-o", str(out), *home, "--json"])
    assert made.exit_code == 0
    assert '"lines": 1' in made.stdout
    assert out.read_text(encoding="utf-8").startswith("\ufeffmember,")
    assert runner.invoke(app, ["export", "-o", str(out), *home]).exit_code == 2  # it is there
    assert runner.invoke(app, ["export", "-o", str(tmp_path / "mine.txt"), *home]).exit_code == 2
    planned = runner.invoke(app, ["import", "run", str(out), "--dry-run", "--json", *home])
    assert '"unchanged": 1' in planned.stdout
