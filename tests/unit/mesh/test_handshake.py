"""What gRPC says of TLS, in words. That it says so is seen in tests/rpc/mesh/test_tls.py."""

import pytest

from devteam.mesh.handshake import in_words

LAST = "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: "
FAILED = f"{LAST}Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1: SSL routines:OPENSSL_internal:"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"{FAILED}CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "its certificate has expired"),
        (f"{FAILED}CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK", "its certificate is not valid yet"),
        (f"{FAILED}CERTIFICATE_VERIFY_FAILED: self signed certificate: OK", "its certificate is not signed by anyone"),
        (f"{FAILED}TLSV1_ALERT_UNKNOWN_CA: OK", "it does not take the certificate that it is shown"),
        (f"{LAST}Socket closed", "it hangs up at once"),
    ],
)
def test_what_has_to_do_with_tls_says_what_to_do(message: str, said: str) -> None:
    assert in_words(message).startswith(f"{said}")
    assert ": " not in in_words(message)


@pytest.mark.parametrize("message", ["", "Socket closed", f"{LAST}Connection refused", "the handshake of my task"])
def test_anything_else_is_left_as_it_is(message: str) -> None:
    assert in_words(message) == message
