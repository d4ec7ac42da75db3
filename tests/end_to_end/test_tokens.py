"""The token over real gRPC: what was recorded is of no use, and a token that was changed is not either."""

from __future__ import annotations

import grpc
import pytest

from common.errors import InvalidSpec
from common.tls import TlsFiles
from common.wire import codec, rpc
from common.wire import frames as wire
from common.wire.access import as_worker
from master.securing import Security

pytestmark = pytest.mark.xdist_group("processes")

SETTINGS = ("workers=2", "code=uncoded(n)", "deadline.rule=none", "on_shortfall=wait")
FIRST, SECOND = "the first token of this run", "the second token of this run"


async def test_a_recorded_call_cannot_be_sent_again(start, dial):
    running = await start(*SETTINGS, token=FIRST)
    peer = dial(running.master.address, FIRST)
    order = (await peer.join("w")).order.data
    rows = wire.FetchRows(running.master.driver.run, order.digest, order.ranges[0].begin, order.ranges[0].end)
    recorded = as_worker("w") + await peer.access.metadata(peer.channel, rpc.FETCH_ROWS)
    call = rpc.fetch_method(peer.channel)
    assert await call(codec.encode_fetch(rows), metadata=recorded).read()
    thief = dial(running.master.address)
    with pytest.raises(grpc.aio.AioRpcError, match="used before, or is too old") as caught:
        await rpc.fetch_method(thief.channel)(codec.encode_fetch(rows), metadata=recorded).read()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await running.metric('gradcode_protocol_errors_total{kind="replayed_token"}') == 1


async def test_a_worker_gets_only_the_rows_that_its_name_was_told_to_hold(start, dial):
    running = await start(*SETTINGS, token=FIRST)
    one, two = dial(running.master.address, FIRST), dial(running.master.address, FIRST)
    await one.join("one")
    theirs = (await two.join("two")).order.data
    rows = wire.FetchRows(running.master.driver.run, theirs.digest, *range_of(theirs))
    for name, said in (
        (as_worker("one"), "are not of the place of worker 'one'"),
        ((), "does not say which"),
    ):
        shown = name + await one.access.metadata(one.channel, rpc.FETCH_ROWS)
        with pytest.raises(grpc.aio.AioRpcError, match=said):
            await rpc.fetch_method(one.channel)(codec.encode_fetch(rows), metadata=shown).read()


def range_of(order) -> tuple[int, int]:
    return order.ranges[0].begin, order.ranges[0].end


async def status(address, dial, token) -> str:
    return (await rpc.ControlClient(dial(address).channel, token).get_status()).phase


@pytest.mark.parametrize("grace_seconds", [0.0, 600.0])
async def test_after_a_change_of_the_file_the_old_token_is_refused(start, dial, tmp_path, grace_seconds):
    file = tmp_path / "token"
    file.write_text(FIRST)
    running = await start(*SETTINGS, security=Security(token_file=file, token_grace_seconds=grace_seconds))
    address = running.master.address
    linked = dial(address, FIRST)
    await linked.join("w")
    assert await status(address, dial, FIRST) == "waiting"
    (tmp_path / "fresh").write_text(SECOND)
    (tmp_path / "fresh").replace(file)
    assert await status(address, dial, SECOND) == "waiting"
    if grace_seconds:
        assert await status(address, dial, FIRST) == "waiting"
    else:
        with pytest.raises(grpc.aio.AioRpcError, match="a wrong token was used: give the token file"):
            await status(address, dial, FIRST)
        assert await running.metric('gradcode_protocol_errors_total{kind="wrong_token"}') == 1
    # Links that are open stay.
    assert running.master.driver.training.members.same_name("w") is not None


# ---- what a master wants before it listens ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "given", "said"),
    [
        ("0.0.0.0:0", {}, "needs --tls beyond 127.0.0.1, or --insecure-network and --token-file"),
        ("0.0.0.0:0", {"token": FIRST}, "needs --tls beyond 127.0.0.1"),
        ("[::]:0", {"insecure_network": True}, "needs --token-file"),
        ("10.0.0.1:0", {"insecure_network": True, "token": "short"}, "at least 16 characters"),
        ("127.0.0.1:0", {"token_grace_seconds": -1.0}, "--token-grace"),
        ("127.0.0.1:0", {"token_grace_seconds": float("nan")}, "--token-grace"),
    ],
)
def test_nobody_listens_to_a_network_by_accident(listen, given, said):
    with pytest.raises(InvalidSpec, match=said):
        Security(**given).check(listen)


def test_what_is_secure_or_asked_for_may_listen(certificates):
    tls: TlsFiles = certificates.issue("master", "master")
    for listen, security, warns in (
        ("127.0.0.1:0", Security(), False),
        ("[::1]:0", Security(), False),
        ("0.0.0.0:0", Security(tls=tls), False),
        ("0.0.0.0:0", Security(token=FIRST, insecure_network=True), True),
    ):
        security.check(listen)
        assert (security.warning(listen) is not None) == warns
