"""The child's fences: time, memory, processor, network, and what it may say."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import sandbox
from pipeline.errors import LimitExceeded, MediaUnreadable, SandboxFailed
from pipeline.sandbox import ProcessLimits

ROOT = str(Path(__file__).parents[3])
# Runs `body` as a task of the real child, behind the same fences.
CHILD = """
import sys, types
sys.path.append({root!r})
from pipeline import sandbox, sandbox_child
module = types.ModuleType("body")
sys.modules["body"] = module
exec({body!r}, module.__dict__)
sandbox.TASKS["body"] = "body:run"
sys.argv = ["-", "body"]
sandbox_child.main()
"""


def fenced(body, memory_mib=1024, cpu_seconds=5):
    envelope = {"request": {}, "limits": {"memory_mib": memory_mib, "cpu_seconds": cpu_seconds}}
    return subprocess.run(
        [sys.executable, "-P", "-c", CHILD.format(root=ROOT, body=body)],
        input=json.dumps(envelope).encode(), capture_output=True, timeout=30, check=False,
    )  # fmt: skip


def test_an_answer_comes_back():
    assert json.loads(fenced("def run(request): return {'a': 1}").stdout) == {"result": {"a": 1}}


def test_our_error_comes_back_as_itself():
    body = "from pipeline.errors import MediaUnreadable\ndef run(request): raise MediaUnreadable('so it is')"
    done = fenced(body)
    with pytest.raises(MediaUnreadable, match="so it is"):
        sandbox.parse_answer(done.stdout, done.returncode)


def test_memory():
    done = fenced("def run(request): return {'n': len(bytearray(2 << 30))}")
    with pytest.raises(LimitExceeded, match="memory"):
        sandbox.parse_answer(done.stdout, done.returncode)


def test_processor_time():
    done = fenced("def run(request):\n    while True: pass", cpu_seconds=1)
    with pytest.raises(LimitExceeded, match="processor time"):
        sandbox.parse_answer(done.stdout, done.returncode)


def test_no_file_is_written(tmp_path):
    body = f"def run(request):\n    open({str(tmp_path / 'a')!r}, 'w').write('x' * 9999)"
    fenced(body)
    assert not (tmp_path / "a").exists() or (tmp_path / "a").stat().st_size == 0


def test_no_network_where_the_kernel_allows_it():
    body = """
import os
def run(request):
    return {"cut": os.readlink("/proc/self/ns/net")}
"""
    done = fenced(body)
    result = sandbox.parse_answer(done.stdout, done.returncode)
    if os.geteuid() == 0:
        assert result["cut"] != str(Path("/proc/self/ns/net").readlink())


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"[]", b"{}", b'{"error": 1}', b'{"result"', b"\xff"])
def test_nonsense_is_a_failure(answer):
    with pytest.raises(SandboxFailed, match="died"):
        sandbox.parse_answer(answer, 1)


def test_an_unknown_error_class_is_a_failure():
    assert type(sandbox.error_from("SystemExit", "x")) is SandboxFailed
    assert type(sandbox.error_from("MediaUnreadable", "x")) is MediaUnreadable


def test_a_task_that_does_not_exist():
    with pytest.raises(KeyError):
        sandbox.call("os.system", {}, ProcessLimits())


def test_the_environment_is_not_inherited(monkeypatch):
    monkeypatch.setenv("COUNTERMARK_SECRET", "s3cret")
    with sandbox.spawn("decode", {}, ProcessLimits()) as child:
        environment = Path(f"/proc/{child.pid}/environ").read_bytes()
    assert b"s3cret" not in environment
    assert child.returncode == -signal.SIGKILL or child.returncode is not None


def test_waiting_ends():
    limits = ProcessLimits(wall_seconds=0.01)
    with pytest.raises(LimitExceeded, match="stopped"):
        sandbox.call("decode", {}, limits)


def test_waiting_ends_for_a_child_that_has_closed_its_output(tmp_path, monkeypatch):
    body = "import os, time\ndef run(request):\n    os.close(1)\n    time.sleep(60)\n"
    (tmp_path / "silent_task.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    start = "import sys; sys.path.append(sys.argv[2]); from pipeline import sandbox, sandbox_child"
    known = "sandbox.TASKS['silent'] = 'silent_task:run'; sandbox_child.main()"
    monkeypatch.setattr(sandbox, "BOOTSTRAP", f"{start}; {known}")
    monkeypatch.setitem(sandbox.TASKS, "silent", "silent_task:run")
    began = time.monotonic()
    with pytest.raises(LimitExceeded, match="stopped"):
        sandbox.call("silent", {}, ProcessLimits(wall_seconds=2.0))
    assert time.monotonic() - began < 30


def test_the_child_ends_when_the_parent_is_killed(tmp_path, make_clip):
    clip = make_clip(tmp_path / "a.mp4", width=640, height=360, frames=60)
    body = f"""
import sys, time
sys.path.insert(0, {ROOT!r})
from pathlib import Path
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
with open_clip({str(clip)!r}, limits=MediaLimits()) as reader:
    next(iter(reader))
    tasks = Path("/proc/self/task").iterdir()
    print(*(task.joinpath("children").read_text() for task in tasks), flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or " Z " in state.read_text():
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("the child outlived its parent")
