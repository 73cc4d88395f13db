"""Messages for TLS connections that fail."""

from service_identity import VerificationError


def tls_reason(error: BaseException) -> str:
    """Return why TLS failed.

    An error of OpenSSL has a list of tuples: library, function, reason.
    """
    if isinstance(error, VerificationError):
        return "the certificate is for another name"
    details = error.args[0] if error.args else None
    if isinstance(details, list):
        words = [each[-1] for each in details if isinstance(each, tuple) and each]
        return ", ".join(map(str, words)) or "broken off"
    return str(error) or type(error).__name__
