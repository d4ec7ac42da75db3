from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHILD = """
import signal, sys, time
from common.lifeline import end_with_parent
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
end_with_parent(grace_seconds=0.2)
print("up", flush=True)
time.sleep(60)
"""
# Starts a child that holds its lifeline, says who it is, and is killed.
PARENT = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stderr=1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def started(*arguments: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", *arguments], stdin=pipe, stdout=pipe, cwd=ROOT)


def ended(*arguments: str) -> int:
    """The exit code of a child whose standard input ends when it is up."""
    with started(CHILD, *arguments) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"up\n"
        child.stdin.write(b"what is written does not matter\n" * 1000)
        child.stdin.flush()
        assert child.poll() is None
        child.stdin.close()
        return child.wait(timeout=10)


def test_the_end_of_standard_input_asks_the_process_to_leave():
    assert ended() == -signal.SIGTERM


def test_who_does_not_leave_is_killed():
    assert ended("deaf") == -signal.SIGKILL


def test_a_child_ends_with_a_parent_that_is_killed():
    with started(PARENT, CHILD) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        # The child holds the parent's standard output open for as long as it lives.
        assert parent.stdout.read() == b""
        assert parent.wait(timeout=10) == -signal.SIGKILL
