"""What loads what: the verifier stays light, torchvision can be imported, torch_compat stands alone."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("torch", "torchvision", "diffusers", "open_clip", "transformers", "faiss", "sqlalchemy", "fastapi")
# Seen by every Python process that finds it on its path, the sandboxed readers included.
WATCH = """
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {heavy!r}:
            with open({told!r}, "a") as file:
                file.write(name + "\\n")
sys.meta_path.insert(0, Watch())
"""
VERIFY = "import sys; from pipeline.cli.main import main; sys.argv = ['countermark', *sys.argv[1:]]; main()"
FAMILY = """
import torch_compat
assert "torch" not in __import__("sys").modules
missing = torch_compat.complete_torchvision()
assert torch_compat.complete_torchvision() is missing
import gc; gc.collect()
import diffusers, open_clip, torch, torchvision, transformers
from diffusers import DiffusionPipeline
from transformers import CLIPModel
print(tuple(torchvision.transforms.Resize(8)(torch.zeros(3, 16, 16)).shape))
"""


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=kept | environment, check=False,
        capture_output=True, text=True,
    )  # fmt: skip


def test_verifying_loads_nothing_heavy(released: Any, root: Path, tmp_path: Path) -> None:
    told, watch = tmp_path / "told", tmp_path / "watch"
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(WATCH.format(heavy=HEAVY, told=str(told)))
    path = os.pathsep.join([str(watch), str(root)])
    report = tmp_path / "report.html"
    arguments = [
        "verify",
        str(released.file),
        "--json",
        "--home",
        str(released.home),
        "--report",
        str(report),
    ]
    answer = python("-c", VERIFY, *arguments, cwd=tmp_path, PYTHONPATH=path)
    assert answer.returncode == 0, answer.stderr
    [verified] = json.loads(answer.stdout)
    assert verified["verdict"] == "intact"
    assert all(line["state"] == "found" for line in verified["evidence"].values())
    assert not told.exists(), told.read_text()
    # The watch does see: making releases needs the database toolkit.
    python("-c", "import pipeline.app", cwd=tmp_path, PYTHONPATH=path)
    assert "sqlalchemy" in told.read_text().split()


def test_torch_compat_imports_nothing_of_the_project(root: Path) -> None:
    ours = {name.partition(".")[0] for name in packages(root)}
    tree = ast.parse((root / "torch_compat.py").read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not ours & {name.partition(".")[0] for name in names}


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is None, reason="the extra `all` is not installed")
def test_torchvision_and_its_users_can_be_imported(root: Path, tmp_path: Path) -> None:
    answer = python("-c", FAMILY, cwd=tmp_path, PYTHONPATH=str(root), HF_HUB_OFFLINE="1")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split("\n")[-2] == "(3, 8, 8)"


def test_every_package_is_listed_and_imports_nothing_in_its_init(root: Path) -> None:
    listed = packages(root)
    tops = {name.partition(".")[0] for name in listed}
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for top in tops for path in (root / top).rglob("__init__.py")
    }  # fmt: skip
    assert set(listed) == found
    for name in listed:
        tree = ast.parse(root.joinpath(*name.split("."), "__init__.py").read_text())
        assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], name


def test_no_file_grows_too_long(root: Path) -> None:
    long = {
        str(path.relative_to(root)): count
        for top in {name.partition(".")[0] for name in packages(root)} | {"tests", "benchmarks"}
        for path in (root / top).rglob("*.py") if (count := len(path.read_text().splitlines())) > 400
    }  # fmt: skip
    assert not long


def packages(root: Path) -> list[str]:
    document = tomllib.loads((root / "pyproject.toml").read_text())
    listed: list[str] = document["tool"]["setuptools"]["packages"]
    return listed
