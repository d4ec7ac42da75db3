"""The status page in a real browser, of a real run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from chromium import Chromium, Tab
from cluster import ENVIRONMENT
from crowd import crowd

from common.experiment import load_experiment
from master.run import Master, MasterOptions
from worker.service import Worker

pytestmark = pytest.mark.xdist_group("processes")

HOSTILE = "<img src=x onerror=document.title='broken'>"
SLOWLY = ("delays.distribution=constant", "delays.seconds=0.02", "delays.factors={2 = 6.0}")
DATA = "data.source=synthetic(rows=60, features=4)"
AWAY = "network: Failed to load resource"
"""What a browser says of a master that is away; no page can keep it from doing so."""


@pytest.fixture(scope="module")
def browser(needs_tool, tmp_path_factory) -> Iterator[Chromium]:
    made = Chromium(needs_tool("chromium"), tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@asynccontextmanager
async def running(folder, *overrides: str) -> AsyncIterator[Master]:
    """A real master and four workers in this process; the run is interrupted at the end."""
    code = "code=partial_stragglers(n, 2, 2)"
    experiment = load_experiment(None, [DATA, "workers=4", "rounds=10000", code, *SLOWLY, *overrides])
    master = Master(experiment, MasterOptions("127.0.0.1:0", "127.0.0.1:0", folder=folder))
    master.prepare()
    opened = asyncio.Event()
    task = asyncio.create_task(master.run(opened.set))
    await asyncio.wait_for(opened.wait(), 10)
    workers = [Worker(master.address, name) for name in ("a", "b", "c", HOSTILE)]
    leaving = [asyncio.create_task(each.run()) for each in workers]
    try:
        yield master
    finally:
        master.interrupt()
        await asyncio.wait([task, *leaving], timeout=10)


async def test_a_running_job_is_shown_and_updates_by_itself(browser, tmp_path):
    async with running(tmp_path / "run", "name=shown") as master, browser.tab() as tab:
        await tab.look()
        await tab.go(f"http://{master.metrics_address}/")
        await tab.until("document.querySelectorAll('#rows tr').length === 4")
        before = int(await tab.until("Number(document.getElementById('round').textContent) || 0"))
        await tab.until(f"Number(document.getElementById('round').textContent) > {before + 5}")
        assert await tab.text("name") == "shown"
        assert await tab.text("phase") == "running"
        assert await tab.text("line") == "live"
        assert (await tab.text("code")).startswith("partial_stragglers(4, replication=2")
        assert re.fullmatch(r"[1-9]\d* exact", await tab.text("exact"))
        assert float(await tab.text("loss")) > 0
        # Workers' names are foreign text: shown, not obeyed.
        assert HOSTILE in await tab.text("rows")
        assert await tab.evaluate("document.querySelectorAll('main img').length") == 0
        assert "shown" in await tab.evaluate("document.title")
        await tab.until("document.querySelector('#ranking li')?.textContent.includes('place 2')")
        await drawn(tab)
        await keys_say_what_is_under_them(tab)
        master.interrupt()
        await tab.until("document.getElementById('phase').textContent === 'finished'")
        assert "interrupted" in await tab.text("reason")
        assert [each for each in tab.errors if not each.startswith(AWAY)] == []


async def drawn(tab: Tab) -> None:
    """Every canvas has more than one colour."""
    for name in ("curve", "times", "grid", "map"):
        colours = await tab.evaluate(
            f"""(() => {{ const c = document.getElementById({name!r});
            const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
            return new Set(d).size; }})()"""
        )
        assert colours > 2, name


async def keys_say_what_is_under_them(tab: Tab) -> None:
    for name, said in (("grid", r"Place 0, .*chunks finished"), ("map", r"Round \d+, place 0")):
        await tab.evaluate(f"document.getElementById({name!r}).focus()")
        for key in ("ArrowRight", "ArrowLeft"):
            await tab.ask("Input.dispatchKeyEvent", type="keyDown", key=key)
        assert re.search(said, await tab.text(f"{name}-said")), await tab.text(f"{name}-said")


async def test_a_master_that_is_killed_and_started_again_is_followed(browser, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start(name: str) -> subprocess.Popen[bytes]:
        arguments = ["--listen", "127.0.0.1:0", "--metrics", f"127.0.0.1:{port}", "--runs", str(tmp_path)]
        sets = ["--set", DATA, "--set", "workers=3", "--set", f"name={name}"]
        with (tmp_path / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "master", *arguments, *sets]
            return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)

    master = start("first")
    try:
        async with browser.tab() as tab:
            await answers(port)
            await tab.look()
            await tab.go(f"http://127.0.0.1:{port}/")
            await tab.until("document.getElementById('name').textContent === 'first'")
            assert await tab.text("phase") == "waiting"
            assert "0 of 3 workers are ready" in await tab.text("reason")
            master.kill()
            master.wait()
            await tab.until("document.getElementById('line').textContent.includes('away')")
            master = start("second")
            await tab.until("document.getElementById('name').textContent === 'second'")
            assert await tab.text("line") == "live"
            assert [each for each in tab.errors if not each.startswith(AWAY)] == []
    finally:
        master.kill()
        master.wait()


async def answers(port: int) -> None:
    for _ in range(400):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("the master does not listen")


PERFORMANCE = """new Promise((done) => {
  const frames = []; const tasks = []; let changes = 0; let last = performance.now(); const began = last;
  const tasksSeen = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(e => e.duration)));
  tasksSeen.observe({ entryTypes: ["longtask"] });
  const seen = new MutationObserver(() => { changes += 1; });
  seen.observe(document.getElementById("round"), { childList: true, characterData: true, subtree: true });
  const frame = (now) => {
    frames.push(now - last); last = now;
    if (now - began < 2000) { requestAnimationFrame(frame); return; }
    frames.sort((a, b) => a - b);
    done({ changes, longest: Math.max(0, ...tasks), median: frames[Math.floor(frames.length / 2)],
           slow: frames[Math.floor(frames.length * 0.95)] });
  };
  requestAnimationFrame(frame);
})"""


async def busy_seconds(tab: Tab) -> float:
    metrics = (await tab.ask("Performance.getMetrics"))["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "TaskDuration")


@pytest.mark.skipif("GRADCODE_SLOW" not in os.environ, reason="it measures time: set GRADCODE_SLOW=1")
async def test_a_thousand_workers_stay_fluid(browser):
    async with crowd(1000) as address, browser.tab() as tab:
        await tab.look()
        await tab.go(f"http://{address}/")
        await tab.until("document.getElementById('places').textContent === '1000'")
        await tab.until("document.getElementById('map').clientHeight > 400")
        before = await busy_seconds(tab)
        seen = await tab.evaluate(PERFORMANCE)
        busy = await busy_seconds(tab) - before
        # On a machine that is busy with other things bounds have to be generous: usual are 10 ms an update.
        assert seen["changes"] >= 2, seen
        assert busy / seen["changes"] < 0.25, (busy, seen)
        assert seen["longest"] < 500, seen
        assert seen["median"] < 100, seen
        assert await tab.evaluate("document.querySelectorAll('*').length") < 1200
        await drawn(tab)
        await tab.evaluate("document.getElementById('order').value = 'straggled'; "
                           "document.getElementById('order').dispatchEvent(new Event('change'))")  # fmt: skip
        await tab.evaluate("document.getElementById('after').click()")
        assert await tab.text("range") == "21 to 40 of 1000"
        assert tab.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_it_is_readable_in_both_themes_on_phones_and_screens(browser, width, dark):
    async with crowd(8, 30) as address, browser.tab() as tab:
        await tab.look(width, 800, dark)
        await tab.go(f"http://{address}/")
        await tab.until("document.querySelectorAll('#rows tr').length === 8")
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(ground) < 0.1) == dark
        poor = {name: ratio for name, ratio in (await contrasts(tab)).items() if ratio < 4.5}
        assert poor == {}
        assert tab.errors == []


def luminance(colour: str) -> float:
    red, green, blue = (int(each) / 255 for each in re.findall(r"\d+", colour)[:3])
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def contrasts(tab: Tab) -> dict[str, float]:
    """Of every element with text of its own, against what lies behind it (WCAG 2, 1.4.3)."""
    pairs = await tab.evaluate(
        """[...document.body.querySelectorAll('*')].filter((e) => !e.disabled && e.offsetWidth > 1 &&
             [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
             let behind = e; while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
               behind = behind.parentElement;
             return [e.tagName + '.' + e.className + '#' + e.id, getComputedStyle(e).color,
                     getComputedStyle(behind || document.body).backgroundColor]; })"""
    )
    assert len(pairs) > 40
    found = {}
    for name, ink, ground in pairs:
        light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        found[f"{name}: {ink} on {ground}"] = (light + 0.05) / (dark + 0.05)
    return found


async def test_it_can_be_read_by_screen_readers_and_used_by_keyboard(browser):
    async with crowd(8, 30) as address, browser.tab() as tab:
        await tab.look()
        await tab.go(f"http://{address}/")
        await tab.until("document.querySelectorAll('#rows tr').length === 8")
        assert await tab.evaluate("document.documentElement.lang") == "en"
        tree = (await tab.ask("Accessibility.getFullAXTree"))["nodes"]
        nodes = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree
            if not node.get("ignored") and "role" in node
        ]
        roles = [role for role, _ in nodes]
        for landmark in ("banner", "main", "contentinfo", "status"):
            assert roles.count(landmark) == 1 or (landmark == "status" and landmark in roles), landmark
        assert roles.count("region") == 8
        assert roles.count("table") == 1
        assert roles.count("columnheader") == 7
        assert roles.count("rowheader") == 8
        named = ("button", "combobox", "link", "application", "region", "progressbar", "image", "table")
        nameless = [(role, name) for role, name in nodes if role.lower() in named and not name.strip()]
        assert nameless == []
        assert re.match(r"running: round \d+ of 10000, loss .*workers: ", await tab.text("summary"))
        await focus_is_seen(tab)


async def focus_is_seen(tab: Tab) -> None:
    """Every control is reached by Tab, and shows it."""
    reached = []
    for _ in range(12):
        await tab.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
        said = await tab.evaluate(
            """(() => { const e = document.activeElement; const s = getComputedStyle(e);
            return JSON.stringify([e.id || e.className || e.tagName, s.outlineStyle, s.outlineWidth]) })()"""
        )
        name, style, width = json.loads(said)
        if name != "BODY":
            reached.append(name)
            assert (style, width) == ("solid", "3px"), name
    assert {"skip", "pause", "grid", "map", "order"} <= set(reached)
