"""The built wheel works alone: another folder, nothing of the source tree on the path."""

import os
import shutil
import site
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

MODULES = """
import importlib, importlib.metadata, sys
from pathlib import Path
here = Path(sys.argv[1]).resolve()
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    assert Path(module.__file__).resolve().is_relative_to(here), module.__file__
assert not any("__editable__" in str(finder) for finder in sys.meta_path)
print(importlib.metadata.version("countermark"))
"""
MIGRATE = """
import sqlite3, sys
from pathlib import Path
from registry.db import open_database
path = Path(sys.argv[1])
open_database(path).dispose()
with sqlite3.connect(path) as db:
    print(db.execute("SELECT version_num FROM alembic_version").fetchone()[0])
"""


class Installed:
    """The wheel, unpacked into a folder of its own."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.wheel = folder, wheel

    def run(self, *arguments: str | Path) -> str:
        """Run Python without the environment's own start-up files, which would find the source tree."""
        path = os.pathsep.join([str(self.folder), *site.getsitepackages()])
        answer = subprocess.run(
            [sys.executable, "-S", *map(str, arguments)], cwd=self.folder.parent, check=False,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": path}, capture_output=True, text=True,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "torch_compat.py"):
        shutil.copy(root / name, source)
    for top in tops(root):
        shutil.copytree(root / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    answer = subprocess.run(build, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    [wheel] = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(target), str(wheel)], check=True, capture_output=True)
    return Installed(target, wheel)


def test_the_wheel_holds_every_file_of_the_packages(installed: Installed, root: Path) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(root).as_posix()
        for top in tops(root) for path in (root / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip
    assert held == wanted | {"torch_compat.py"}


def test_it_imports_from_there(installed: Installed) -> None:
    names = ["torch_compat", *tops(Path(__file__).parents[3])]
    modules = [
        "pipeline.app",
        "pipeline.cli.main",
        "pipeline.verify.opening",
        "registry.db",
        "watermark.detector",
    ]
    assert installed.run("-c", MODULES, installed.folder, *names, *modules)


def test_it_migrates_from_there(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("-c", MIGRATE, tmp_path / "registry.db")


def test_its_command_verifies(installed: Installed, released: Any) -> None:
    told = installed.run(
        "-m", "pipeline.cli.main", "verify", released.file, "--home", released.home, "--json"
    )
    assert '"intact"' in told


def tops(root: Path) -> list[str]:
    document = tomllib.loads((root / "pyproject.toml").read_text())
    return sorted({name.partition(".")[0] for name in document["tool"]["setuptools"]["packages"]})
