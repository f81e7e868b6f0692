"""What is kept of words, and where it opens again."""

import pytest
from devteam_planner.cipher import Cipher

from devteam.mesh.errors import Unavailable

KEYS = {"a": b"a" * 32, "b": b"b" * 32}
PLAIN, A, B = Cipher(), Cipher(KEYS, "a"), Cipher(KEYS, "b")
TEXTS = ["hello", "grüner Tee", "\x02a:looks sealed", "\x02:\x02:", "a" * 300_000]
PAYLOADS = [b"", b"\x0a\x03abc", b"\x00\x01ab", b"\x00\x00", bytes(range(256)) * 100]


@pytest.mark.parametrize("cipher", [PLAIN, A])
@pytest.mark.parametrize("text", ["", *TEXTS])
def test_text_comes_back_as_it_was(cipher: Cipher, text: str) -> None:
    """Whatever it looks like, and whoever opens it."""
    kept = cipher.seal_text("here", text)
    assert cipher.open_text("here", kept) == B.open_text("here", kept) == text
    assert cipher.is_current(kept)


@pytest.mark.parametrize("cipher", [PLAIN, A])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_bytes_come_back_as_they_were(cipher: Cipher, payload: bytes) -> None:
    kept = cipher.seal("here", payload)
    assert cipher.open("here", kept) == B.open("here", kept) == payload
    assert cipher.is_current(kept)


def test_what_is_not_encrypted_is_kept_as_it_is() -> None:
    assert [PLAIN.seal_text("here", text) for text in ("", "hello")] == ["", "hello"]
    assert PLAIN.seal("here", b"\x0a\x03abc") == b"\x0a\x03abc"
    assert A.open_text("here", "hello") == "hello"
    assert A.open("here", b"\x0a\x03abc") == b"\x0a\x03abc"


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_of_it_shows(text: str) -> None:
    """And the same is never kept the same way twice."""
    kept, again = A.seal_text("here", text), A.seal_text("here", text)
    assert kept != again
    assert kept.startswith("\x02a:")
    assert text.strip("\x02:a") == "" or text not in kept
    assert b"secret" not in A.seal("here", b"secret" * 10)


def test_it_opens_nowhere_but_in_its_place() -> None:
    text, payload = A.seal_text("here", "hello"), A.seal("here", b"hello")
    for opening in (lambda: A.open_text("there", text), lambda: A.open("there", payload)):
        with pytest.raises(Unavailable, match="what is kept at there cannot be decrypted") as refused:
            opening()
        assert refused.value.reason == "DECRYPTION_FAILED"
        assert "hello" not in refused.value.message


@pytest.mark.parametrize("kept", ["\x02a:", "\x02a:AAAA", "\x02a:not base64!", "\x02a:" + "A" * 64, "\x02a"])
def test_what_was_changed_does_not_open(kept: str) -> None:
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        A.open_text("here", kept)


@pytest.mark.parametrize("cipher", [PLAIN, Cipher({"c": b"c" * 32}, "c")])
def test_a_key_that_is_missing_is_named(cipher: Cipher) -> None:
    for opening in (
        lambda: cipher.open_text("here", A.seal_text("here", "hello")),
        lambda: cipher.open("here", A.seal("here", b"hello")),
    ):
        with pytest.raises(Unavailable, match="encrypted with key 'a', which the Planner does not have") as refused:
            opening()
        assert (refused.value.reason, refused.value.metadata) == ("ENCRYPTION_KEY_UNKNOWN", {"key_id": "a"})


def test_it_knows_what_it_would_not_seal_so_now() -> None:
    for kept in (A.seal("here", b"x"), A.seal_text("here", "x")):
        assert A.is_current(kept)
        assert not B.is_current(kept)
        assert not PLAIN.is_current(kept)
    for kept in (PLAIN.seal("here", b"x"), PLAIN.seal_text("here", "x"), PLAIN.seal("here", b"\x00"), "\x02:\x02"):
        assert PLAIN.is_current(kept)
        assert not A.is_current(kept)


def test_what_was_cut_off_after_its_mark_breaks_nothing() -> None:
    """Whoever writes to the database could have deleted it as well; a rotation goes through all that there is."""
    cipher = Cipher()
    assert cipher.is_current(b"\x00")
    assert cipher.open("place", b"\x00") == b""
