"""Keys that slip into a log line do not come out of it; everything else does."""

import io
import json
import logging

import pytest
import structlog

from devteam.mesh.access.key import KINDS, mint
from devteam.mesh.redaction import HIDDEN, hidden
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
