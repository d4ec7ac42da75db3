"""A real Chromium without a window, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--mute-audio", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


class Chromium:
    """A browser process, ended by ``close``."""

    def __init__(self, program: str, folder: Path) -> None:
        self._announced = folder / "DevToolsActivePort"
        with (folder / "chromium.log").open("wb") as log:
            command = [program, *SWITCHES, f"--user-data-dir={folder}", "about:blank"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._log = folder / "chromium.log"

    @property
    def address(self) -> str:
        """Of the browser's own DevTools."""
        end = time.monotonic() + 20.0
        while not self._announced.exists() or self._announced.read_text().count("\n") < 1:
            if time.monotonic() > end or self._process.poll() is not None:
                raise AssertionError(f"Chromium did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.02)
        port, path = self._announced.read_text().split("\n")[:2]
        return f"ws://127.0.0.1:{port}{path}"

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """A new page, with cookies and caches of its own, closed at the end."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.address, max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            reading = asyncio.create_task(tab.read())
            try:
                await tab.open()
                yield tab
            finally:
                await tab.close()
                reading.cancel()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Tab:
    """One page. ``errors``: what it said on the console that it should not have."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session = ""
        self._context = self._target = ""
        self._loaded = asyncio.Event()

    async def open(self) -> None:
        self._context = (await self.ask("Target.createBrowserContext"))["browserContextId"]
        made = await self.ask("Target.createTarget", url="about:blank", browserContextId=self._context)
        self._target = made["targetId"]
        attached = await self.ask("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Accessibility", "Performance"):
            await self.ask(f"{domain}.enable")

    async def close(self) -> None:
        self._session = ""
        await self.ask("Target.disposeBrowserContext", browserContextId=self._context)

    async def read(self) -> None:
        async for each in self._socket:
            said = json.loads(each.data)
            waiting = self._answers.pop(said.get("id", 0), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(said)
            self._note(said.get("method", ""), said.get("params", {}))

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.errors.append(str(details.get("exception", details).get("description", details)))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{said['entry']['source']}: {said['entry']['text']}")

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        said = await asyncio.wait_for(answer, 20.0)
        assert "error" not in said, f"{method}: {said['error']}"
        return dict(said["result"])

    async def go(self, url: str) -> None:
        self._loaded.clear()
        await self.ask("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 20.0)

    async def look(self, width: int = 1280, height: int = 900, dark: bool = False, scale: float = 1) -> None:
        """Set the screen's size in CSS pixels, and the theme that the user wants."""
        phone = width < 600
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=phone,
        )  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[theme])

    async def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript; promises are waited for."""
        said = await self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def until(self, expression: str, seconds: float = 15.0) -> Any:
        """Wait until some JavaScript is true; returns its value."""
        end = time.monotonic() + seconds
        while not (value := await self.evaluate(expression)):
            if time.monotonic() > end:
                text = await self.evaluate("document.body.innerText")
                raise AssertionError(f"waited in vain for {expression}\n{self.errors}\n{text}")
            await asyncio.sleep(0.05)
        return value

    async def text(self, name: str) -> str:
        """Of the element with that id."""
        return str(await self.evaluate(f"document.getElementById({name!r}).textContent"))

    async def screenshot(self, file: Path, whole: bool = True) -> None:
        shot = await self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
