"""Paging, ids, addresses, lengths of time, validation."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from devteam.mesh import paging
from devteam.mesh.address import is_loopback, target_of
from devteam.mesh.durations import duration_of, seconds_of
from devteam.mesh.errors import FailedPrecondition, InvalidInput
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen, refuse_exposure
from devteam.mesh.validation import LONGEST_NAME, NAME_PATTERN, Violations
from tests.fakes.clock import FakeClock


@given(st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: len(name) <= LONGEST_NAME))
def test_a_page_token_comes_back_as_what_it_was_made_of(last: str) -> None:
    assert paging.page_start(paging.page_token(last)) == last


MADE_UP = [paging.page_token(name) for name in ("\x00x", "t-1\n", "two words", "é", "x" * (LONGEST_NAME + 1))]


@pytest.mark.parametrize("forged", ["x", "!!!", "MTo=", "Mjph", "é", *MADE_UP])
def test_a_forged_page_token_is_refused(forged: str) -> None:
    """Also one that is well made, of what can be no name of ours."""
    with pytest.raises(InvalidInput) as caught:
        paging.page_start(forged)
    assert caught.value.violations[0].reason == "PAGE_TOKEN_INVALID"


@given(st.integers(-(10**11), 10**11))
def test_a_length_of_time_comes_back_to_the_microsecond(microseconds: int) -> None:
    length = duration_of(microseconds / 1e6)
    assert length == Duration(seconds=length.seconds, nanos=length.nanos // 1_000 * 1_000)
    assert round(seconds_of(length) * 1e6) == microseconds


def test_ids_sort_by_the_time_they_were_made_at(clock: FakeClock) -> None:
    ids = TimeOrderedIds(clock)
    made = []
    for _ in range(50):
        made.append(ids.new("t"))
        clock.advance(0.001)
    assert made == sorted(set(made))
    assert {len(name) for name in made} == {len("t-") + 18}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://mesh.example:7400", ("mesh.example:7400", False)),
        ("https://mesh.example", ("mesh.example:443", True)),
        ("http://[::1]:7400", ("[::1]:7400", False)),
        ("dns:///mesh:7400", ("dns:///mesh:7400", False)),
        ("mesh:7400", ("mesh:7400", False)),
    ],
)
def test_an_address_means_a_target(url: str, expected: tuple[str, bool]) -> None:
    assert target_of(url) == expected


@pytest.mark.parametrize("url", ["http://", "http://host:port", "https://:443", "http://[::1", "http:mesh"])
def test_an_address_without_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        target_of(url)


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("mesh", False)]
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_listening_beyond_this_machine_has_to_be_said_on_purpose() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        refuse_exposure(Listen(host="0.0.0.0"))
    assert caught.value.reason == "EXPOSED_WITHOUT_AUTH"
    refuse_exposure(Listen(host="0.0.0.0", insecure=True))


def test_violations_are_collected_with_their_paths_and_raised_together() -> None:
    found = Violations()
    found.text("name", "", limit=10, required=True)
    with found.at("steps[2]"):
        found.name("id", "a b")
        found.between("priority", float("nan"), 1, 5)
        found.enum("strategy", 99, [0, 1])
    with pytest.raises(InvalidInput) as caught:
        found.raise_if_any()
    assert [(v.field, v.reason) for v in caught.value.violations] == [
        ("name", "FIELD_REQUIRED"),
        ("steps[2].id", "ID_FORMAT"),
        ("steps[2].priority", "OUT_OF_BOUNDS"),
        ("steps[2].strategy", "UNKNOWN_ENUM"),
    ]
