"""What gRPC says of what answers, in words.

That it says so is seen in tests/rpc/mesh/test_tls.py and tests/rpc/cli/test_exit_codes.py.
"""

import pytest

from devteam.mesh.handshake import in_words

LAST = "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: "
PARSING = f"{LAST}Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type"
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


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"{PARSING} 80) (Trying to connect an http1.x server (HTTP status 403))", "a web page answers there"),
        (f"{PARSING} 79)", "what answers there speaks no HTTP/2"),
    ],
)
def test_what_is_no_mesh_is_called_so(message: str, said: str) -> None:
    """With the address that is meant most often."""
    assert in_words(message) == f"{said}, and is no mesh; a mesh is at http://127.0.0.1:7400 unless another was chosen"


@pytest.mark.parametrize("message", ["", "Socket closed", f"{LAST}Connection refused", "the handshake of my task"])
def test_anything_else_is_left_as_it_is(message: str) -> None:
    assert in_words(message) == message
