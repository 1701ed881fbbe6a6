"""A worker notices that it is to end, whenever the signal comes."""

import subprocess
import sys

MANY = """
import os, random, signal, threading, time
from pipeline.cli.worker import Told

def send():
    time.sleep(random.random() * 2e-4)
    os.kill(os.getpid(), signal.SIGTERM)

for _ in range(2000):
    told = Told(signal.SIGTERM, signal.SIGINT)
    threading.Thread(target=send).start()
    told.wait(0.0005)
print("all")
"""


def test_a_signal_is_noticed_just_before_it_is_waited_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr
