"""Keys that slip into a log line do not come out of it; everything else does."""

import io
import json
import logging
from dataclasses import dataclass

import pytest
import structlog

from devteam.mesh import redaction
from devteam.mesh.access.key import KINDS, mint
from devteam.mesh.logs import configure_logs
from devteam.mesh.redaction import HIDDEN, hidden, keep_hidden
from tests.fakes.logging_as_before import logging_as_before
from tests.unit.mesh.test_logs import said  # noqa: F401 - a fixture

KEY = "sk-ant-canary-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"invalid x-api-key: {KEY}",
        "sent Authorization: Bearer canary-0123456789.abc and waited",
        "{'authorization': 'canary-0123456789'}",
        '{\\"x-api-key\\": \\"canary-0123456789\\"}',
        "cannot reach postgresql+psycopg://mesh:canary-0123456789@db.example:5432/devteam",
        "key dt_canary0123456789 is unknown",
        "dtw_3sFvq9Zk_canary8cQ2mNcanary",
        "KEY=dta_3sFvq9Zk_canary8cQ2mNcanary; next",
        "shown as Bearer dtm_3sFvq9Zk_canary8cQ2mNcanary",
        "Proxy-Authorization: Basic canary0123456789==",
        "key gsk_canarycanary4711canary",
        "asked with hf_canaryCanaryCanaryCanary",
        "GET /v1beta/models?key=AIzacanary_canary-canary4711",
        "GITHUB_TOKEN is ghp_canaryCanaryCanary4711",
        "bad\\nsk-ant-canary-0123456789",
        "\x1b[31msk-ant-canary-0123456789\x1b[0m",
        "refused with api_key=canary123456789",
        "OPENAI_API_KEY=canarycanary is not valid",
        "{'api_key': 'canary'}",
        '{\\"apiKey\\": \\"canary, and more of the canary\\"}',
        "password: canary4711, as told",
        "authorization: bearer canarycanary",
        "authorization=Basic canarycanary",
        "access_token='Bearer canary'",
        "cannot connect: host=db user=mesh password=canarycanary",
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str) -> None:
    assert "canary" not in hidden(text)
    assert HIDDEN in hidden(text)


@pytest.mark.parametrize(
    "text",
    [
        "task t-1m8b1ywabtaz7ebhan waits: all slots busy",
        "http://127.0.0.1:7400 does not answer",
        "postgresql+psycopg://mesh@db.example/devteam",
        "authorization is off",
        "the Basic task-skipping-step ran",
        "Bearer of bad news",
        "devteam.v1.PlannerService/CreateTask",
        "token count 4711, tokens: 123456789, max_tokens=1234567890, page_token=AAAAAAAAAAAA",
        "trace 0af7651916cd43dd8448eb211c80319c, digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c",
        "the API key: nobody knows it; api_key: something is missing",
        "DEVTEAM_PLANNER_MESH_KEY_FILE=/etc/devteam/mesh.key, key_id=3sFvq9Zk",
        "hf_hub_download of hf.co/unsloth/gemma-3-27b-it-GGUF",
        "secretary: 123456789",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_key_of_the_mesh_its_id_is_left(kind: str) -> None:
    """Wherever it stands, and whatever is next to it."""
    minted = mint(kind)
    text = hidden(f"url?key={minted.secret}&x, x{minted.secret}-{minted.secret}")
    shown = f"dt{kind}_{minted.key_id}_{HIDDEN}"
    assert text == f"url?key={shown}&x, x{shown}-{shown}"


def test_neither_fields_nor_texts_nor_tracebacks_tell_a_key(said: io.StringIO) -> None:  # noqa: F811 - the fixture
    log = structlog.get_logger()
    log.warning("provider refused", api_key="canary-1", session_token="canary-2", why=f"bad key {KEY}")
    log.warning("settings", settings={"database": "postgresql://a:canary-3@b/c"})
    logging.getLogger("someone.else").warning("header x-api-key=%s", "canary-0123456789")
    try:
        int(f"bad {KEY}")
    except ValueError:
        log.exception("call failed", tokens=12, token_count=3)
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert len(lines) == 4
    assert "canary" not in said.getvalue()
    assert lines[0]["api_key"] == HIDDEN
    assert (lines[3]["tokens"], lines[3]["token_count"]) == (12, 3)
    assert "'bad sk-[hidden]'" in lines[3]["exception"]


class Terminal(io.StringIO):
    """A stream that is written to in colours."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Login:
    """Something that shows its key to whoever prints it."""

    key: str

    def __repr__(self) -> str:
        return self.key


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else {"why": KEY}


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_values_are_looked_into_before_a_line_is_made_of_them(stream: io.StringIO) -> None:
    """Behind a colour, or an escaped end of line, no word begins that could be told."""
    with logging_as_before():
        configure_logs("test", stream=stream)
        log = structlog.get_logger()
        log.info("alone", why=KEY, key="dt_canary0123456789")
        log.info("within", told={"why": [KEY, (f"bad\n{KEY}",)], "api_key": "canary", "tokens": 12}, login=Login(KEY))
        log.info("deep", told=nested(50))
        log.info("sorry", of=HIDDEN, count=3, none=None, told={"api_key": ""})
        try:
            int(f"bad\n{KEY}")
        except ValueError:
            log.exception("call failed")
    assert "canary" not in stream.getvalue()
    assert stream.getvalue().count(HIDDEN) == 9
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_what_a_process_has_loaded_is_hidden_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    """Behind escapes it is no longer what it was."""
    monkeypatch.setattr(redaction, "_loaded", set[str]())
    text = "asked with canary, \"the\" 'canäry', twice"
    assert hidden(text) == text
    keep_hidden("canary, \"the\" 'canäry'", "", "twice")
    assert hidden(text) == f"asked with {HIDDEN}, twice"
    with logging_as_before():
        configure_logs("test", stream=stream)
        structlog.get_logger().info("told", why=text, within={"why": [text]})
    assert "canary" not in stream.getvalue()
    assert stream.getvalue().count(HIDDEN) == 2


def test_a_value_that_holds_itself_ends_nothing() -> None:
    stream, endless = Terminal(), list[object]([KEY])
    endless.append(endless)
    with logging_as_before():
        configure_logs("test", stream=stream)
        structlog.get_logger().info("told", why=endless)
    assert "told" in stream.getvalue()
    assert "canary" not in stream.getvalue()
