"""A headless Chromium, driven over the DevTools protocol on a pair of pipes: no port, no other program."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
# Chromium reads commands from file descriptor 3 and answers on 4; asyncio hands on only what keeps its number.
_EXEC = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.closerange(10, 256)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE = 30.0


def chromium_program() -> str:
    """Where it is. Skips the test when it is nowhere."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    return found


class Chromium:
    """A running browser; `tab` opens pages in it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}

    async def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """One command and its answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": parameters}
        self._writer.write(json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0")
        async with asyncio.timeout(_PATIENCE):
            told = await answer
        assert "error" not in told, f"{method}: {told['error']}"
        result: dict[str, Any] = told["result"]
        return result

    @asynccontextmanager
    async def tab(self, width: int = 1280, height: int = 900, **emulated: Any) -> AsyncIterator["Tab"]:
        """An empty page of a size; `emulated` as for `Tab.emulate`."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = self._tabs[attached["sessionId"]] = Tab(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.call(f"{domain}.enable")
        await tab.emulate(width, height, **emulated)
        try:
            yield tab
        finally:
            await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def listen(self) -> None:
        """Take what the browser says, for ever."""
        while True:
            told = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if "id" in told:
                answer = self._answers.pop(told["id"])
                if not answer.done():
                    answer.set_result(told)
            elif tab := self._tabs.get(told.get("sessionId", "")):
                tab.hear(told["method"], told["params"])


class Tab:
    """One page, and what went wrong on it: `complaints` are errors of its scripts and of its security policy."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._browser = browser
        self._session = session

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command to this page."""
        return await self._browser.call(method, self._session, **parameters)

    async def emulate(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False, scale: float = 1
    ) -> None:
        """Look as a screen of that size, in light or dark, with a mouse or a finger."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def open(self, url: str) -> None:
        """Go there; returns once the page and what belongs to it has come."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """What an expression comes to, awaited if it is a promise."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, f"{script}: {told['exceptionDetails']}"
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true, and return it; what it looks for may not be there yet."""
        wait = f"new Promise(done => {{ const look = () => {{ let it; try {{ it = ({script}); }} catch {{ }} \
            it ? done(it) : setTimeout(look, 30); }}; look(); }})"
        try:
            return await self.run(wait)
        except TimeoutError:
            shown = await self.run("document.body.innerText")
            raise AssertionError(f"never came true: {script}\n{self.complaints}\n{shown}") from None

    async def text(self, selector: str = "body") -> str:
        """What a reader reads there."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    async def press(self, key: str) -> None:
        """One key, as a user would."""
        code = {"Tab": 9, "Enter": 13}.get(key, 0)
        text = {"Enter": "\r"}.get(key)
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the `whole` page, as PNG."""
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))  # noqa: ASYNC240 - a test has nothing else to do

    def hear(self, method: str, told: dict[str, Any]) -> None:
        """Note what the browser says of this page."""
        match method:
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                self._complain(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if told["type"] in {"error", "warning", "assert"}:
                self._complain(json.dumps(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in {"error", "warning"}:
                self._complain(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])

    def _complain(self, words: str) -> None:
        # What is wrong with a page's drawing is wrong with every frame.
        if words not in self.complaints:
            self.complaints.append(words)


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """A browser with a profile of its own, for as long as the block runs. Skips the test when there is none."""
    program = chromium_program()
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        async with _pipes() as (browser, fds), asyncio.TaskGroup() as group:
            command = [sys.executable, "-c", _EXEC, *map(str, fds), program, *_FLAGS, f"--user-data-dir={profile}"]
            process = await asyncio.create_subprocess_exec(
                *command, pass_fds=fds, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            for fd in fds:
                os.close(fd)
            listening = group.create_task(browser.listen())
            try:
                yield browser
            finally:
                listening.cancel()
                process.terminate()
                await process.wait()


@asynccontextmanager
async def _pipes() -> AsyncIterator[tuple[Chromium, tuple[int, int]]]:
    """A browser that is spoken to over pipes, and the ends of the pipes that are the browser's."""
    loop = asyncio.get_running_loop()
    (commands_out, commands_in), (answers_out, answers_in) = os.pipe(), os.pipe()
    reader = asyncio.StreamReader(limit=2**26)
    source, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers_out, "rb"))
    sink, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(commands_in, "wb"))
    try:
        yield Chromium(reader, sink), (commands_out, answers_in)
    finally:
        sink.close()
        source.close()
