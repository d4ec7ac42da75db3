"""Who is let in over TLS, who is not, and that those who are not learn why. Every handshake is a real one."""

from __future__ import annotations

import asyncio
import datetime
import shutil
from collections.abc import Callable
from dataclasses import replace

import grpc
import pytest

from common.errors import InvalidSpec
from common.tls import TlsFiles, trouble
from common.wire import codec, rpc
from common.wire import frames as wire
from common.wire.access import Access, as_worker
from gradcode.commands_ask import explained
from master import access, securing, trust
from master.events import ScaleRequested, StopRequested
from worker.service import Worker

pytestmark = pytest.mark.xdist_group("processes")

SETTINGS = ("workers=2", "code=uncoded(n)", "rounds=3", "deadline.rule=none", "on_shortfall=wait")


@pytest.fixture
def files(certificates, tmp_path) -> Callable[..., TlsFiles]:
    """``files("worker", "worker-1")``: a certificate in a folder of this test's own."""

    def make(role: str, name: str, **more: object) -> TlsFiles:
        into = f"{tmp_path.name}-{more.get('by', 'ca')}-{name.replace('*', 'any')}"
        return certificates.issue(role, name, into=into, **more)

    return make


def copied(source: TlsFiles, target: TlsFiles) -> None:
    """Put other files in the place of those that somebody uses, one after the other."""
    for path, onto in (
        (source.key, target.key),
        (source.certificate, target.certificate),
        (source.ca, target.ca),
    ):
        shutil.copy(path, onto.with_suffix(".new"))
        onto.with_suffix(".new").replace(onto)


async def get_status(address: str, tls: TlsFiles | None) -> str:
    """The phase of the run, or how the call was refused, as an operator is told."""
    shown = Access(tls)
    async with shown.channel(address, rpc.client_options()) as channel:
        try:
            return (await rpc.ControlClient(channel, timeout_seconds=3.0).get_status()).phase
        except grpc.aio.AioRpcError as error:
            return str(await explained(error, address, shown))


async def counted(running, kind: str, least: int = 1) -> None:
    """Wait until so many refusals of a kind were counted."""
    async with asyncio.timeout(10):
        while await running.metric(f'gradcode_protocol_errors_total{{kind="{kind}"}}') < least:
            await asyncio.sleep(0.02)


async def test_a_run_over_tls(start, files):
    running = await start(*SETTINGS, tls=files("master", "master"))
    names = {"worker-1": files("worker", "worker-1"), "worker-any7": files("worker", "worker-any*")}
    workers = [Worker(running.master.address, name, access=Access(tls)) for name, tls in names.items()]
    ends = [asyncio.create_task(each.run()) for each in workers]
    assert await get_status(running.master.address, files("operator", "operator")) in ("waiting", "running")
    assert await running.task == 0
    assert await asyncio.gather(*ends) == [0, 0]
    assert running.master.driver.training.chronicle.totals.rounds["exact"] == 3


@pytest.fixture
def soon(monkeypatch):
    """A handshake that comes to nothing is counted soon, and links are looked at often."""
    monkeypatch.setattr(trust, "HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(securing, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(access, "LOOK_SECONDS", 0.05)


async def test_who_has_no_certificate_is_refused_counted_and_told(start, files, soon):
    running = await start(*SETTINGS, tls=files("master", "master"))
    said = await get_status(running.master.address, None)
    assert "--tls: must be what the master takes (the master speaks TLS: give --tls" in said
    authority, _, _ = files("operator", "operator").read()
    channel = grpc.aio.secure_channel(running.master.address, grpc.ssl_channel_credentials(authority))
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.ControlClient(channel, timeout_seconds=3.0).get_status()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await counted(running, "no_handshake", 2)


async def test_the_wrong_authority_is_refused_counted_and_told_on_both_sides(
    start, files, certificates, soon
):
    running = await start(*SETTINGS, tls=files("master", "master"))
    stranger = files("operator", "operator", by="other")
    said = await get_status(running.master.address, stranger)
    assert "the master's certificate is not of the authority in --tls-ca" in said
    said = await get_status(running.master.address, certificates.trusting(stranger))
    assert "--tls-cert: must be valid now, for this use, and issued by --tls-ca" in said
    both = certificates.folder / "both.pem"
    both.write_bytes(
        b"".join((certificates.folder / each / "ca.pem").read_bytes() for each in ("ca", "other"))
    )
    said = await get_status(running.master.address, replace(stranger, ca=both))
    assert "the master refuses this certificate: it trusts another authority" in said
    await counted(running, "no_handshake", 3)


async def test_who_has_expired_is_refused_counted_and_told(start, files, certificates, soon):
    running = await start(*SETTINGS, tls=files("master", "master"))
    said = await get_status(running.master.address, certificates.expired("operator", "operator"))
    assert "certificate has expired" in said
    await counted(running, "no_handshake")


async def test_a_master_s_certificate_lets_nobody_in(start, files, soon):
    master = files("master", "operator")
    running = await start(*SETTINGS, tls=master)
    assert "unsuitable certificate purpose" in await get_status(running.master.address, master)
    await counted(running, "no_handshake")


async def test_a_worker_cannot_pose_as_the_master(start, files, certificates):
    with pytest.raises(InvalidSpec, match="unsuitable certificate purpose"):
        await start(*SETTINGS, tls=files("worker", "worker-1"))


async def test_a_master_by_another_name_is_not_trusted(start, files):
    running = await start(*SETTINGS, tls=files("master", "master"))
    operator = files("operator", "operator")
    said = await get_status(running.master.address, replace(operator, expected_name="elsewhere"))
    assert "the master's certificate is not for elsewhere" in said
    assert await get_status(running.master.address, replace(operator, expected_name="master")) == "waiting"


async def test_a_master_without_tls_is_told_from_one_that_is_not_there(start, files):
    running = await start(*SETTINGS)
    operator = files("operator", "operator")
    assert "what listens there speaks no TLS" in await get_status(running.master.address, operator)
    assert "no master answers" in await get_status("127.0.0.1:1", operator)


async def test_every_role_keeps_to_its_own_service(start, files, dial):
    running = await start(*SETTINGS, tls=files("master", "master"))
    said = await get_status(running.master.address, files("worker", "worker-1"))
    assert "--tls: must hold an operator's certificate (this certificate is not an operator's)" in said
    peer = dial(running.master.address, tls=files("operator", "operator"))
    with pytest.raises((ConnectionError, grpc.aio.AioRpcError), match="not a worker's"):
        await peer.join("operator")
    fetch = codec.encode_fetch(wire.FetchRows(running.master.driver.run, "d", 0, 1))
    with pytest.raises(grpc.aio.AioRpcError, match="not a worker's"):
        await rpc.fetch_method(peer.channel)(fetch).read()
    await counted(running, "wrong_role", 3)


async def test_a_worker_is_who_its_certificate_says(start, files, dial):
    running = await start(*SETTINGS, tls=files("master", "master"))
    peer = dial(running.master.address, tls=files("worker", "worker-1"))
    with pytest.raises((ConnectionError, grpc.aio.AioRpcError), match="for worker-1, not for 'worker-2'"):
        await peer.join("worker-2")
    await counted(running, "wrong_name")
    worker = Worker(running.master.address, "worker-2", access=Access(files("worker", "worker-1")))
    assert await worker.run() == 2


async def test_a_worker_tells_in_its_log_why_it_is_not_let_in(start, files, certificates, caplog):
    running = await start(*SETTINGS, tls=files("master", "master"))
    stranger = files("worker", "worker-1", by="other")
    for shown, said in (
        (None, "the master speaks TLS: give --tls"),
        (stranger, "the master's certificate is not of the authority in --tls-ca"),
        (certificates.trusting(stranger), "issued by --tls-ca"),
        (certificates.expired("worker", "worker-1"), "certificate has expired"),
    ):
        caplog.clear()
        worker = Worker(running.master.address, "worker-1", access=Access(shown), give_up_seconds=0.0)
        assert await worker.run() == 3
        assert said in caplog.text


async def test_a_worker_gets_the_rows_of_its_own_place_only(start, files, dial):
    running = await start(*SETTINGS, tls=files("master", "master"))
    one = dial(running.master.address, tls=files("worker", "worker-1"))
    two = dial(running.master.address, tls=files("worker", "worker-2"))
    mine = (await one.join("worker-1")).order.data
    theirs = (await two.join("worker-2")).order.data

    async def fetch(ranges, name):
        rows = wire.FetchRows(running.master.driver.run, mine.digest, ranges.begin, ranges.end)
        return await rpc.fetch_method(one.channel)(codec.encode_fetch(rows), metadata=name).read()

    assert await fetch(mine.ranges[0], as_worker("worker-1"))
    with pytest.raises(grpc.aio.AioRpcError, match="are not of the place of worker 'worker-1'"):
        await fetch(theirs.ranges[0], as_worker("worker-1"))
    with pytest.raises(grpc.aio.AioRpcError, match="for worker-1, not for 'worker-2'"):
        await fetch(theirs.ranges[0], as_worker("worker-2"))
    with pytest.raises(grpc.aio.AioRpcError, match="does not say which worker"):
        await fetch(mine.ranges[0], None)
    await counted(running, "foreign_rows")
    await counted(running, "wrong_name", 2)


# ---- files that change ------------------------------------------------------------------------------------


async def test_new_certificates_of_the_master_count_from_the_next_handshake_and_cost_no_link(
    start, files, dial
):
    master = files("master", "master")
    running = await start(*SETTINGS, tls=master)
    worker, operator = files("worker", "worker-1"), files("operator", "operator")
    peer = dial(running.master.address, tls=worker)
    await peer.join("worker-1")
    copied(files("master", "renamed"), master)
    elsewhere = replace(operator, expected_name="renamed")
    assert await get_status(running.master.address, elsewhere) == "waiting"
    order = peer.welcome.order.data
    rows = wire.FetchRows(running.master.driver.run, order.digest, order.ranges[0].begin, order.ranges[0].end)
    assert await rpc.fetch_method(peer.channel)(
        codec.encode_fetch(rows), metadata=as_worker("worker-1")
    ).read()
    assert await running.metric("gradcode_links_lost_total") == 0


async def test_files_that_cannot_be_used_are_looked_past(start, files):
    master = files("master", "master")
    running = await start(*SETTINGS, tls=master)
    master.certificate.write_text("nothing of use")
    assert await get_status(running.master.address, files("operator", "operator")) == "waiting"


async def test_a_worker_shows_its_new_certificate_between_two_rounds(start, files):
    """It dials again as soon as a round is over; no round falls short of exact."""
    more = (
        "workers=1",
        "code=uncoded(n)",
        "rounds=400",
        "delays.distribution=constant",
        "delays.seconds=0.01",
    )
    running = await start(*more, "on_shortfall=wait", "deadline.rule=none", tls=files("master", "master"))
    worker = files("worker", "worker-1")
    end = asyncio.create_task(Worker(running.master.address, "worker-1", access=Access(worker)).run())
    totals = running.master.driver.training.chronicle.totals
    async with asyncio.timeout(30):
        while totals.rounds["exact"] < 5:
            await asyncio.sleep(0.01)
        copied(files("worker", "worker-*"), worker)
        while await running.metric("gradcode_links_opened_total") < 2:
            await asyncio.sleep(0.02)
        before = totals.rounds["exact"]
        while totals.rounds["exact"] < before + 5:
            await asyncio.sleep(0.01)
    assert totals.rounds["failed"] == totals.rounds["approximate"] == 0
    running.master.interrupt()
    assert await end == 0


async def test_a_link_ends_when_its_authority_is_trusted_no_more(start, files, dial, certificates, soon):
    master = files("master", "master")
    running = await start(*SETTINGS, tls=master)
    old = dial(running.master.address, tls=files("worker", "worker-1"))
    await old.join("worker-1")
    copied(files("master", "master", by="other"), master)
    assert "is trusted no more" in await old.ended()
    assert await running.metric('gradcode_protocol_errors_total{kind="expired"}') >= 1
    new = dial(running.master.address, tls=files("worker", "worker-1", by="other"))
    assert (await new.join("worker-1")).place == 0


async def test_a_link_ends_when_its_certificate_does(start, files, dial, soon, monkeypatch):
    running = await start(*SETTINGS, tls=files("master", "master"))
    peer = dial(running.master.address, tls=files("worker", "worker-1"))
    await peer.join("worker-1")
    later = trust.utc_now() + datetime.timedelta(days=2)
    monkeypatch.setattr(trust, "utc_now", lambda: later)
    assert "this certificate has expired" in await peer.ended()


def test_nobody_there_is_no_trouble_with_tls(files):
    assert trouble("127.0.0.1", 1, files("operator", "operator")) is None
    assert trouble("127.0.0.1", 1, None) is None


async def test_workers_get_the_rows_that_another_plan_asks_of_them(start, files):
    """Of a chunk whose ends move with the plan they fetch only the piece that they lack."""
    plan = ("workers=3", "code=cyclic_repetition(n, 1)", "rounds=1000000", "evaluate_every=0")
    running = await start(*plan, "deadline.rule=none", tls=files("master", "master"))
    names = [f"worker-{number}" for number in range(4)]
    workers = [
        Worker(running.master.address, name, access=Access(files("worker", "worker-*"))) for name in names
    ]
    ends = [asyncio.create_task(each.run()) for each in workers]
    training = running.master.driver.training
    for n_workers in (4, 3, 4):
        async with asyncio.timeout(20):
            while len(training.members.links) < 4 or training.round is None:
                await asyncio.sleep(0.01)
            running.master.driver.dispatch(ScaleRequested(n_workers))
            while training.members.n_ready != n_workers or training.members.n_places != n_workers:
                await asyncio.sleep(0.01)
    assert await running.metric('gradcode_protocol_errors_total{kind="foreign_rows"}') == 0
    running.master.driver.dispatch(StopRequested("enough", 0))
    assert await running.task == 0
    assert await asyncio.gather(*ends) == [0] * 4
    rounds = training.chronicle.totals.rounds
    assert rounds["approximate"] == rounds["failed"] == 0 < rounds["exact"]
