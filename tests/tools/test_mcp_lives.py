"""How MCP servers on pipes are started, die, are started anew, and end."""

import asyncio
import json
import os
import signal
from pathlib import Path

import mcp.client.stdio
import pytest
from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.mcp import McpServer
from structlog.testing import capture_logs

from tests.fakes.clock import FakeClock
from tests.tools.scene import Scene, opened, script

CANARY = "sk-canary-7f3a"
KEYS = {"ANTHROPIC_API_KEY": CANARY, "OPENAI_API_KEY": CANARY, "DEVTEAM_API_KEY": CANARY}


async def pid_of(scene: Scene) -> int:
    return int(json.loads(await scene.call("echo"))["pid"])


def is_there(pid: int) -> bool:
    """Whether the process is there, if only as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def nested(depth: int) -> object:
    odd: object = "x"
    for _ in range(depth):
        odd = [odd]
    return odd


async def gone(scene: Scene) -> None:
    """Wait until the worker has noticed that the server is."""
    connection = scene.server._connection
    assert connection is not None
    async with asyncio.timeout(60):
        await asyncio.wait({connection._keeper})


async def refusal(settings: McpServerSettings, clock: FakeClock, *, patience: float = 60.0) -> str:
    """Why a server cannot be opened. It is closed as the worker does it."""
    server = McpServer("files", settings, clock, {}, patience=patience)
    async with asyncio.timeout(60):
        with pytest.raises(ToolError) as caught:
            await server.open()
        await server.close()
    return str(caught.value)


class TestEnd:
    async def test_a_closed_server_leaves_no_process(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            pid = await pid_of(scene)
            assert is_there(pid)
        assert not is_there(pid)

    async def test_one_that_does_not_go_is_killed(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mcp.client.stdio, "PROCESS_TERMINATION_TIMEOUT", 0.05)
        monkeypatch.setattr(mcp.client.stdio, "FORCE_KILL_TIMEOUT", 0.05)
        async with opened(script("mcp_odd.py", "stubborn"), clock) as scene:
            pid = await pid_of(scene)
        assert not is_there(pid)

    async def test_calls_under_way_end_with_it(self, clock: FakeClock) -> None:
        async with opened(script("mcp_tools.py"), clock) as scene:
            call = asyncio.create_task(scene.call("hold"))
            await scene.call("seen", what="held")
            await scene.server.close()
            with pytest.raises(ToolError, match="files stopped; try again"):
                await call
            with pytest.raises(ToolError, match="files is closed"):
                await scene.call("add", a=1, b=2)

    async def test_one_that_was_never_opened_can_be_closed(self, clock: FakeClock) -> None:
        await McpServer("files", script("mcp_odd.py", "well"), clock).close()


class TestDeath:
    async def test_a_call_under_way_is_told_and_the_next_one_starts_the_server_anew(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            before = await pid_of(scene)
            with capture_logs() as logs:
                with pytest.raises(ToolError, match=r"^The tool server files stopped; try again\.$"):
                    await scene.call("exit")
                await gone(scene)
            assert not is_there(before)
            assert [line["event"] for line in logs] == ["tool server stopped"]
            clock.advance(1)
            assert await pid_of(scene) != before

    async def test_one_that_breaks_its_own_contract_goes_on(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            with capture_logs() as logs, pytest.raises(ToolError, match="files gave an answer that cannot be read"):
                await scene.call("lie")
            assert "'truth' is a required property" in logs[0]["why"]
            await scene.call("echo")

    async def test_bytes_that_are_no_text_cost_themselves_and_no_answer(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene, asyncio.timeout(60):
            assert await scene.call("latin") == "un caf\ufffd"
            await scene.call("echo")

    @pytest.mark.parametrize("odd", ["\ud83d", nested(254), nested(5000)])
    async def test_arguments_that_no_json_holds_are_refused_and_no_other_call_suffers(
        self, clock: FakeClock, odd: object
    ) -> None:
        async with opened(script("mcp_tools.py"), clock) as scene, asyncio.timeout(60):
            other = asyncio.create_task(scene.call("hold"))
            await scene.call("seen", what="held")
            with pytest.raises(ToolError, match=r"^The arguments cannot be sent: "):
                await scene.call("add", a=odd, b=2)
            assert await scene.call("add", a=1, b=2) == "3"
            assert not other.done()
            other.cancel()

    async def test_one_that_was_killed_in_between_costs_no_call(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            before = await pid_of(scene)
            os.kill(before, signal.SIGKILL)
            await gone(scene)
            clock.advance(1)
            with capture_logs() as logs:
                pids = await asyncio.gather(*(pid_of(scene) for _ in range(5)))
            assert len(set(pids)) == 1
            assert [line["event"] for line in logs] == ["tool server is started anew"]

    async def test_it_is_started_no_more_than_once_a_second(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            with pytest.raises(ToolError):
                await scene.call("exit")
            await gone(scene)
            clock.advance(0.9)
            with pytest.raises(ToolError, match="stopped a moment ago; try again in a second"):
                await scene.call("echo")
            clock.advance(0.1)
            await scene.call("echo")

    async def test_one_that_does_not_come_back_is_the_owners_to_mend(self, clock: FakeClock, tmp_path: Path) -> None:
        there = tmp_path / "there"
        there.mkdir()
        async with opened(script("mcp_odd.py", "well", cwd=str(there)), clock) as scene:
            with pytest.raises(ToolError):
                await scene.call("exit")
            await gone(scene)
            there.rmdir()
            clock.advance(1)
            with capture_logs() as logs, pytest.raises(ToolError) as caught:
                await scene.call("echo")
        assert str(caught.value) == "The tool server files is not there now; do without it, or try later."
        assert f"No such file or directory: {there}" in logs[-1]["why"]

    async def test_a_caller_that_leaves_during_a_start_stops_neither_it_nor_the_others(self, clock: FakeClock) -> None:
        async with opened(script("mcp_odd.py", "well"), clock) as scene:
            with pytest.raises(ToolError):
                await scene.call("exit")
            await gone(scene)
            clock.advance(1)
            first, second = asyncio.create_task(scene.call("echo")), asyncio.create_task(scene.call("echo"))
            await asyncio.sleep(0)
            first.cancel()
            await second
            assert first.cancelled() or first.done()


class TestStart:
    async def test_a_command_that_is_not_there(self, clock: FakeClock) -> None:
        why = await refusal(McpServerSettings(command="no-such-tool"), clock)
        assert why == "cannot be started: No such file or directory: no-such-tool"

    async def test_one_that_stops_at_once_has_its_last_words_in_the_log(self, clock: FakeClock) -> None:
        with capture_logs() as logs:
            why = await refusal(script("mcp_odd.py", "broken"), clock)
        assert why == "stopped before it said which tools it has; its last words are in the log"
        assert {"event": "tool server says", "log_level": "info", "server": "files", "line": "I have no disk"} in logs

    async def test_one_that_never_answers_is_given_up_and_ended(self, clock: FakeClock) -> None:
        why = await refusal(script("mcp_odd.py", "mute"), clock, patience=0.3)
        assert why == "did not say within 0.3 s which tools it has"

    async def test_a_close_does_not_wait_for_a_start(self, clock: FakeClock) -> None:
        server = McpServer("files", script("mcp_odd.py", "mute"), clock, patience=600)
        opening = asyncio.create_task(server.open())
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await server.close()
            with pytest.raises(ToolError, match="was closed"):
                await opening

    async def test_a_variable_that_is_not_set_is_named_and_no_value_is(self, clock: FakeClock) -> None:
        settings = script("mcp_odd.py", "${WAY}", env={"A": "${SECRET}", "B": "${SECRET}${NOT_THERE}"})
        server = McpServer("files", settings, clock, {"SECRET": CANARY})
        with pytest.raises(ToolError) as caught:
            await server.open()
        await server.close()
        assert str(caught.value) == "needs ${WAY} and ${NOT_THERE}, which the worker's environment does not set"


class TestSurroundings:
    async def test_it_gets_what_its_owner_gives_it_and_no_key_of_the_worker(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        settings = script("mcp_tools.py", "--zone=${ZONE}", env={"TOKEN": "Bearer ${MINE}"}, cwd=str(tmp_path))
        async with opened(settings, clock, {**KEYS, "ZONE": "north", "MINE": "m1"}) as scene:
            about = await scene.call("about")
        found = json.loads(about)
        assert (found["arguments"], found["TOKEN"], found["cwd"]) == ("--zone=north", "Bearer m1", str(tmp_path))
        assert CANARY not in about
        assert set(found) <= {
            "arguments",
            "TOKEN",
            "cwd",
            *("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LC_CTYPE"),
        }

    async def test_a_key_that_is_asked_for_is_given(self, clock: FakeClock) -> None:
        settings = script("mcp_tools.py", env={"OPENAI_API_KEY": "${OPENAI_API_KEY}"})
        async with opened(settings, clock, KEYS) as scene:
            assert json.loads(await scene.call("about"))["OPENAI_API_KEY"] == CANARY

    async def test_what_it_says_on_the_side_is_lines_of_the_log(
        self, clock: FakeClock, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with capture_logs() as logs:
            async with opened(script("mcp_odd.py", "chatty"), clock) as scene:
                await scene.call("echo")
        told = {line["event"]: line for line in logs}
        assert {line["server"] for line in logs} == {"files"}
        assert told["tool server says"]["line"] == "x" * 500
        assert told["tool server wrote what is no message"]["error"] == "ValidationError"
        assert "tool server has other tools now; a restart of the worker offers them" in told
        assert capfd.readouterr() == ("", "")

    async def test_what_it_should_not_say_at_all_fills_no_log(self, clock: FakeClock) -> None:
        with capture_logs() as logs:
            async with opened(script("mcp_odd.py", "well"), clock) as scene, asyncio.timeout(60):
                await scene.call("flood")
        left_out = sum(line.get("messages_left_out", 0) for line in logs)
        more = sum("messages_left_out" in line for line in logs)
        assert left_out > 500
        assert left_out + len(logs) - more == 2000
