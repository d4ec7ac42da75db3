"""A real network: hosts with addresses of their own, a narrow link, a cut one, an address that changes."""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Iterator

import pytest
from cluster import Cluster
from hosts import NARROW, Network

from gradcode.chaos.cluster import Progress

pytestmark = pytest.mark.xdist_group("faults")

WORKERS = ["w0", "w1", "w2", "w3"]
N_FEATURES = 3000
SETTINGS = (
    # Every chunk is on three places: two may be slow or gone, and every round must be exact all the same.
    "code=scheduled(n, 3, 2)",
    f"data.source=synthetic(rows=64, features={N_FEATURES})",
    "optimizer.learning_rate=0.01",
    "rounds=1000000",
    "evaluate_every=0",
    "deadline.rule=none",
    "on_shortfall=fail",
    "wire_dtype=float64",
    "delays.distribution=constant",
    "delays.seconds=0.02",
)


@pytest.fixture
def network(needs_tool) -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    tools = [needs_tool(name) for name in ("ip", "tc", "iptables")]
    try:
        made = Network(*tools, ["master", *WORKERS])
    except OSError as error:
        pytest.skip(f"this system has no network namespaces, or cannot shape them: {error}")
    yield made
    made.close()


def start(cluster: Cluster, network: Network) -> None:
    """A master and four workers, each on its own host."""
    token = cluster.root / "token"
    token.write_text("a token for this network only\n")
    cluster.prefix = network.within("master")
    cluster.more = ("--token-file", str(token))
    cluster.start_master(f"workers={len(WORKERS)}", *SETTINGS, listen=f"{network.addresses['master']}:7070")
    for name in WORKERS:
        cluster.prefix = network.within(name)
        cluster.start_worker(name)


def newest(cluster: Cluster) -> int:
    return Progress(cluster.folder).look()


def go_on(cluster: Cluster, n_rounds: int) -> list:
    """Wait for so many rounds; returns their records."""
    begin = newest(cluster) + 1
    cluster.until(lambda: newest(cluster) >= begin + n_rounds, f"{n_rounds} rounds", 30)
    return cluster.history()[begin:]


def events(cluster: Cluster, text: str) -> int:
    """How many events say so; cheaper than reading all records again and again."""
    return (cluster.folder / "history.jsonl").read_text().count(text)


def n_returns(cluster: Cluster, name: str) -> int:
    return events(cluster, f"worker {name} took")


def until_back(cluster: Cluster, name: str, before: int) -> None:
    """The worker has its place again, and rounds go on."""
    cluster.until(lambda: n_returns(cluster, name) > before, f"the return of {name}", 15)
    go_on(cluster, 3)


def test_a_run_goes_on_whatever_becomes_of_its_links(cluster, network):
    start(cluster, network)
    cluster.until(lambda: newest(cluster) >= 5, "the first rounds")
    usual = statistics.median(record.seconds for record in go_on(cluster, 10))

    network.limit("w1", NARROW["slow"])
    # The parameters alone take so long on that link: with another code every round would.
    narrow_seconds = 8 * 8 * N_FEATURES / 1e6
    narrow = go_on(cluster, 10)
    assert statistics.median(record.seconds for record in narrow) < 0.5 * narrow_seconds + usual
    network.limit("w1", NARROW["fast"])

    network.cut("w2", True)
    cluster.until(lambda: events(cluster, "worker w2: "), "the loss of w2", 8)
    go_on(cluster, 3)
    network.cut("w2", False)
    until_back(cluster, "w2", 1)

    # The old connection is dead and nobody says so; the worker finds out, dials again, and takes over.
    network.give_address("w3", "10.77.0.99")
    until_back(cluster, "w3", 1)

    cluster.master.send_signal(signal.SIGTERM)
    assert cluster.wait() == 130
    records = cluster.history()
    assert {record.outcome for record in records} == {"exact"}
    assert [record.round for record in records] == list(range(len(records)))
