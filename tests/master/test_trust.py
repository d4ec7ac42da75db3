"""Handshakes that came to nothing are counted, and only those."""

from __future__ import annotations

from master.trust import HANDSHAKE_SECONDS, Handshakes


class Scene:
    """A clock, and how many have failed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.n_failed = 0
        self.handshakes = Handshakes(self.fail, lambda: self.now)

    def fail(self) -> None:
        self.n_failed += 1

    def wait(self) -> None:
        self.now += HANDSHAKE_SECONDS + 0.1
        self.handshakes.sweep()


def test_a_connection_over_which_a_call_comes_has_not_failed():
    scene = Scene()
    for port in range(3):
        scene.handshakes.begun()
        scene.handshakes.seen(f"ipv4:127.0.0.1:{port}")
    scene.wait()
    assert scene.n_failed == 0


def test_one_over_which_none_comes_has_failed_once_and_not_before_its_time():
    scene = Scene()
    scene.handshakes.begun()
    scene.now = HANDSHAKE_SECONDS - 0.1
    scene.handshakes.sweep()
    assert scene.n_failed == 0
    for _ in range(3):
        scene.wait()
    assert scene.n_failed == 1


def test_further_calls_of_one_connection_excuse_no_other():
    scene = Scene()
    for _ in range(2):
        scene.handshakes.begun()
    for _ in range(5):
        scene.handshakes.seen("ipv4:127.0.0.1:1")
    scene.wait()
    assert scene.n_failed == 1
