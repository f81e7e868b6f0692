"""Errors survive their way over the wire: what is raised at one end is raised at the other."""

import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from google.rpc import error_details_pb2, status_pb2

from devteam.mesh import errors, status

_VIOLATIONS = (
    errors.Violation("steps[1].id", "ID_FORMAT", "has a space"),
    errors.Violation("name", "FIELD_REQUIRED", "must not be empty"),
)


def rich(error: errors.DevTeamError) -> status_pb2.Status:
    """The google.rpc.Status inside the status of an error."""
    (value,) = [value for key, value in status.to_status(error).trailing_metadata if key == "grpc-status-details-bin"]
    return status_pb2.Status.FromString(value)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput(*_VIOLATIONS), 3),
        (errors.DeadlineExceeded("late"), 4),
        (errors.NotFound("task", "t-1"), 5),
        (errors.AlreadyExists("taken"), 6),
        (errors.PermissionDenied("no"), 7),
        (errors.ResourceExhausted("full", retry_after=2.5), 8),
        (errors.FailedPrecondition("not yet"), 9),
        (errors.Aborted("newer"), 10),
        (errors.OutOfRange("past the end"), 11),
        (errors.Internal("err-1"), 13),
        (errors.Unavailable("gone"), 14),
        (errors.Unauthenticated("who?"), 16),
    ],
)
def test_each_error_has_its_code_and_exactly_one_error_info(error: errors.DevTeamError, code: int) -> None:
    sent = rich(error)
    infos = [detail for detail in sent.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    info = error_details_pb2.ErrorInfo.FromString(infos[0].value)
    assert (sent.code, len(infos), info.reason, info.domain) == (code, 1, error.reason, "devteam")


@pytest.mark.parametrize("letter", ["y", "\u00e9", "\U0001f9ea", "%"])
@pytest.mark.parametrize(
    "refuse",
    [
        lambda text: errors.NotFound("queue", text),
        lambda text: errors.Aborted(text, metadata={"current": text}),
        lambda text: errors.Unavailable(text, metadata={"subject": text}),
        lambda text: errors.InvalidInput(*[errors.Violation(text, "ID_FORMAT", text)] * 100),
    ],
)
def test_whatever_an_error_quotes_it_fits_into_the_trailers(
    refuse: Callable[[str], errors.DevTeamError], letter: str
) -> None:
    """Above 8 KiB gRPC drops some answers, and the caller hears RESOURCE_EXHAUSTED; above 16 KiB it drops all."""
    sent = status.to_status(refuse(letter * 70_000))
    in_header = len(quote(sent.details, safe=string.printable.replace("%", "")))
    assert in_header + sum(len(value) for _, value in sent.trailing_metadata) < 7_700


def test_a_bound_that_was_reached_says_whose_it_is_and_when_to_try_again() -> None:
    error = errors.ResourceExhausted("queue 'gpu' is full", retry_after=2.5, metadata={"subject": "queue:gpu"})
    sent, quota, retry = rich(error), error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(quota) for detail in sent.details)
    assert any(detail.Unpack(retry) for detail in sent.details)
    assert [(v.subject, v.description) for v in quota.violations] == [("queue:gpu", "queue 'gpu' is full")]
    assert retry.retry_delay.ToMilliseconds() == 2500


def test_a_refusal_names_every_field() -> None:
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in rich(errors.InvalidInput(*_VIOLATIONS)).details)
    assert [(v.field, v.reason) for v in bad.field_violations] == [
        ("steps[1].id", "ID_FORMAT"),
        ("name", "FIELD_REQUIRED"),
    ]


def test_a_refusal_of_a_thousand_fields_fits_into_the_trailers_and_counts_the_rest() -> None:
    many = [errors.Violation(f"steps[{n}].id", "ID_FORMAT", "must be shorter") for n in range(1000)]
    sent = rich(errors.InvalidInput(*many))
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in sent.details)
    named = len(bad.field_violations) - 1
    assert sent.ByteSize() < 12_000
    assert bad.field_violations[-1].description == f"and {1000 - named} more"
