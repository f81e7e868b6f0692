import pytest
from devteam_worker.providers.detail import public_detail
from devteam_worker.providers.patience import seconds_asked_for

SENT = "Summarise the letter of the 4th of May from my lawyer, and keep it between us."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_tokens: 9000000 > 128000.", "max_tokens: 9000000 > 128000"),
        ("two\n  lines", "two lines"),
        ("the key sk-1 is wrong", ""),
        (f"cannot parse {SENT!r}", ""),
        ("near 'the letter of the 4th of May from my lawyer, and keep': bad", ""),
        ("near 'the letter': bad", "near 'the letter': bad"),
        ("x" * 301, ""),
        ("bell \x07", ""),
        ({"not": "text"}, ""),
        (None, ""),
    ],
)
def test_a_detail_is_one_short_line_without_secrets_and_without_what_was_sent(text: object, expected: str) -> None:
    assert public_detail(text, secrets=["sk-1", ""], body=[SENT, ""]) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "37"}, 37.0),
        ({"retry-after": "37", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1e30"}, 86_400.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_patience_is_a_sane_number_of_seconds_or_unknown(headers: dict[str, str], expected: float | None) -> None:
    assert seconds_asked_for(headers) == expected
