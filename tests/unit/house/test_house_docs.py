"""The documentation says what the code does: settings, errors, verdicts, commands, thresholds, links."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifiers.errors import ClassifierError
from generator.errors import GeneratorError, RequestInvalid
from pipeline.cli import output
from pipeline.cli.main import app
from pipeline.cli.report_words import NO_ANSWER, NOTHING_WRONG
from pipeline.errors import LIBRARIES, CountermarkError, describe
from pipeline.policy import PRESETS
from pipeline.release.strength import BUSY, COLOUR, GREY, QUIET, STRONGEST
from pipeline.settings import DEFAULT_HOME, Settings
from pipeline.types import FileVerdict
from pipeline.verify import types
from registry.errors import RegistryError
from watermark import detector, search
from watermark.errors import WatermarkError
from watermark.issued import Issued
from watermark.keys import DetectionKey

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
ADR = re.compile(r"docs/adr/\d{4}[a-z0-9-]*")


def rows(path: Path, heading: str) -> list[list[str]]:
    """Cells of all table rows of a page whose table begins with `heading`."""
    found: list[list[str]] = []
    inside = False
    for line in path.read_text().splitlines():
        inside = line.startswith("|") and (inside or line.startswith(f"| {heading} |"))
        if inside:
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return [row for row in found if row[0].startswith("`")]


def bare(cell: str) -> str:
    return cell.strip("`")


def test_settings(root: Path) -> None:
    documented = {bare(name): bare(default) for name, default, _ in rows(root / "docs/settings.md", "name")}
    wanted = {
        name: "empty" if field.default is None else str(field.default)
        for name, field in Settings.model_fields.items()
    } | {"home": DEFAULT_HOME}  # fmt: skip
    assert documented == wanted
    for preset in PRESETS:
        assert preset in (root / "docs/settings.md").read_text()


def test_errors(root: Path) -> None:
    documented = {bare(code): int(status) for code, status, _ in rows(root / "docs/errors.md", "code")}
    kinds: list[type[Exception]] = [
        *family(CountermarkError),
        *family(ClassifierError),
        *family(GeneratorError),
        *family(RegistryError),
        WatermarkError,
    ]
    wanted = {told.code: told.exit_code for told in (describe(kind("")) for kind in kinds)}
    assert documented == wanted
    assert set(LIBRARIES) == {ClassifierError, RequestInvalid, GeneratorError, RegistryError, WatermarkError}


def test_error_codes_are_unique() -> None:
    families = (CountermarkError, ClassifierError, GeneratorError, RegistryError)
    codes = [getattr(kind, "code", "") for base in families for kind in family(base)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("page", ["README.md", "docs/verdicts.md"])
def test_verdicts(root: Path, page: str) -> None:
    documented = {bare(verdict): int(status) for verdict, _, status in rows(root / page, "verdict")}
    assert documented == {str(verdict): exit_code(verdict) for verdict in FileVerdict}


def test_flags(root: Path) -> None:
    flags = {
        types.REVOKED_SIGNER,
        types.LAUNDERED_PARENT,
        types.VISIBLE_MARK_REMOVED,
        types.FORGED_LABEL,
        types.WITHDRAWN_RELEASE,
    }
    assert {bare(flag) for flag, _ in rows(root / "docs/verdicts.md", "flag")} == flags
    assert all(flag in (root / "README.md").read_text() for flag in flags)


def test_commands(root: Path) -> None:
    readme = (root / "README.md").read_text()
    named = set(re.findall(r"^countermark ([a-z-]+)", readme, re.MULTILINE))
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    assert named == {command.name for command in app.registered_commands} | set(groups)
    keys: Any = groups["keys"]
    line = next(line for line in readme.splitlines() if line.startswith("countermark keys"))
    assert all(str(command.name) in line for command in keys.registered_commands)


def test_thresholds(root: Path) -> None:
    """The figures of the proof are those of the detector."""
    page = (root / "docs/adr/0004-hidden-mark.md").read_text()
    key, thousand, million = (
        DetectionKey(epoch=1, secret=bytes(32)),
        Issued(range(1000)),
        Issued(range(10**6)),
    )
    ways: dict[str, tuple[Callable[[int], bool] | None, Issued | None, bool]] = {
        "decoded, MAC key": (lambda _: True, None, False),
        "decoded, MAC key, beside a list": (lambda _: True, million, False),
        f"decoded, no MAC key ({detector.CERTAIN_STATISTIC:g} is asked)": (None, None, False),
        "on a list of 1,000": (None, thousand, True),
        "on a list of 1,000,000": (None, million, True),
    }
    assert "| threshold t for 10⁻⁹ | unmoved | quick part | full search |" in page
    for way, (accepts, issued, listed) in ways.items():
        asked = detector.HiddenMarkDetector([key], accepts, issued)
        printed = re.search(
            rf"^\| {re.escape(way)} \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|$", page, re.MULTILINE
        )
        assert printed, way
        for part, threshold in enumerate(float(told) for told in printed.groups()):
            assert asked.log10_chance(threshold - 0.01, part=part, listed=listed) > detector.MAX_LOG10_CHANCE
            assert asked.log10_chance(threshold + 0.01, part=part, listed=listed) <= detector.MAX_LOG10_CHANCE


def test_counts_of_the_proof(root: Path) -> None:
    page = (root / "docs/adr/0004-hidden-mark.md").read_text()
    refined = " + ".join(map(str, search.HANDED_ON))
    for told in (
        f"n of at most {detector.MAX_EPOCHS} |",
        f"(of {detector.MAX_BLOCKS}:",
        f"unmoved: {detector.UNMOVED} placements",
        f"quick part: 2 × {detector.PEAKS} placements",
        f"full search: {refined} placements",
        f"≤ {detector.SHARP:.2f}·Q(t)",
        f"z ≥ {detector.CERTAIN_STATISTIC:g} is asked",
        f"{BUSY:g} to {QUIET:g} dB, weaker where it is quiet",
        f"{COLOUR.strongest:g} to {COLOUR.weakest:g} dB, each",
        f"leaves z = {COLOUR.wanted:g} of five seconds",
        f"{STRONGEST.psnr:g} dB in luma and {STRONGEST.chroma:g} in colour",
        f"gets {GREY.strongest:g} to {GREY.weakest:g} dB in luma",
        "free distance 32",
    ):
        assert told in " ".join(page.split()), told
    assert [count * share for count, share in zip((2, 6, 6), detector.SHARES, strict=True)] == [
        0.5,
        0.25,
        0.25,
    ]


def test_links_lead_somewhere(root: Path) -> None:
    for page in pages(root):
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_decisions_that_code_names_exist(root: Path) -> None:
    written = sorted(path.name for path in (root / "docs/adr").glob("*.md"))
    for top in ("pipeline", "registry", "watermark", "classifiers", "generator"):
        for path in (root / top).rglob("*.py"):
            for name in ADR.findall(path.read_text()):
                assert any(file.startswith(name.removeprefix("docs/adr/")) for file in written), (path, name)


def test_decisions_have_one_shape(root: Path) -> None:
    for path in (root / "docs/adr").glob("*.md"):
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} "), path.name
        for part in ("**Context.**", "**Decision.**", "**Rejected.**", "**Cost"):
            assert part in text, (path.name, part)


def test_make_targets(root: Path) -> None:
    made = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    for page in (*pages(root), root / ".ci/run"):
        named = re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(named) <= made, page.name


def family(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in family(child))]


def exit_code(verdict: FileVerdict) -> int:
    if verdict in NO_ANSWER:
        return output.COULD_NOT
    return output.OK if verdict in NOTHING_WRONG else output.FOUND


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *(root / "docs").rglob("*.md")]
