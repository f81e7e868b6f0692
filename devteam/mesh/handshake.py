"""What gRPC says of connections that did not come about, in words that tell what to do."""

from devteam.mesh.address import DEFAULT_URL

UNTRUSTED = "its certificate is not signed by anyone who is trusted here"
_AUTHORITY = (
    f"{UNTRUSTED}; let DEVTEAM_CA_FILE (for a service, its own ..._TLS_CA_FILE) name the file of the authority that "
    "signed it"
)
_NO_MESH = f"and is no mesh; a mesh is at {DEFAULT_URL} unless another was chosen"
# In gRPC's message, and in words; the first that is found counts. None of them has a colon: see `connection`.
_WORDS = (
    ("certificate has expired", "its certificate has expired; have a new one issued (devteam certs renew)"),
    ("certificate is not yet valid", "its certificate is not valid yet; set the clocks of both machines right"),
    ("CERTIFICATE_VERIFY_FAILED", _AUTHORITY),
    (
        "Hostname Verification Check failed",
        "its certificate is for other names; use one of those, or have one issued for this name",
    ),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS; say http://, or give it a certificate"),
    # The page of `devteam up` stands beside the mesh's own address, and is opened with a browser.
    ("http1.x server", f"a web page answers there, {_NO_MESH}"),
    ("Expected SETTINGS frame", f"what answers there speaks no HTTP/2, {_NO_MESH}"),
    (
        "_ALERT_",
        "it does not take the certificate that it is shown; let DEVTEAM_CERT_FILE and DEVTEAM_KEY_FILE name another",
    ),
)
_HANGS_UP = (
    "it hangs up at once; if it speaks TLS say https://, and if it asks for certificates let DEVTEAM_CERT_FILE and "
    "DEVTEAM_KEY_FILE name one that its authority signed"
)


def in_words(message: str) -> str:
    """What gRPC's `message` about a connection means, if it has to do with what answers; else the message."""
    # How it begins depends on how many addresses there are, and on how they are balanced.
    if "last error: " not in message:
        return message
    # Neither end says more: a server that wants TLS, or another certificate, just ends the connection.
    if message.endswith("Socket closed"):
        return _HANGS_UP
    return next((words for text, words in _WORDS if text in message), message)
