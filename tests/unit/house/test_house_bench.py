"""`countermark bench`: the installed command finds the benchmarks of its checkout, wherever it is called."""

import subprocess
import sys
from pathlib import Path


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("countermark")
    return subprocess.run(
        [command, "bench", *arguments], cwd=folder, env={}, check=False, capture_output=True, text=True
    )


def test_a_benchmark_is_found_from_another_folder(tmp_path: Path) -> None:
    told = bench(tmp_path, "registry", "--only", "nonsense")
    assert told.returncode == 2
    assert "retroscan" in told.stderr  # the benchmark's own options answer


def test_an_unknown_one_is_told_with_those_that_are(tmp_path: Path) -> None:
    told = bench(tmp_path, "nonsense")
    assert told.returncode == 2
    assert "no benchmark 'nonsense'; choose one of: " in told.stderr
    assert "registry" in told.stderr
