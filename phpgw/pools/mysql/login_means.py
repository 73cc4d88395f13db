"""The means of a login at the server: the account, and how the password is kept private."""

from pathlib import Path
from typing import Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from phpgw.pools.mysql.server_login import Account
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION
from phpgw.settings.secret_file import read_secret
from phpgw.transport.tls_endpoint import TlsFiles


@attrs.frozen
class LoginMeans:
    """The means of a login, read anew for each.

    :ivar tls: the options of TLS; ``None`` without.
    :ivar is_private: whether nobody but the server can read what is sent.
    """

    account: Account
    tls: Any
    is_private: bool


def read_login_means(config: PoolConfig) -> LoginMeans:
    """Return what a login needs, with passwords and certificates as they are in their files now.

    :raises InvalidOption: if a file cannot be used.
    :raises UnusableTlsFile: if one with certificates cannot.
    """
    file, key_file, place = config.password_file, config.public_key_file, config.server.place
    account = Account(
        config.user.encode(),
        b"" if file is None else read_secret(OPTION, file),
        None if key_file is None else _read_public_key(key_file),
    )
    tls = None
    if config.uses_tls and place is not None:
        tls = TlsFiles(config.ca_file).options(place.host)
    return LoginMeans(account, tls, is_private=tls is not None or place is None)


def _read_public_key(path: Path) -> RSAPublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidOption(OPTION, f"a public key in PEM ({error})", repr(str(path))) from None
    if not isinstance(key, RSAPublicKey):
        raise InvalidOption(OPTION, "a public RSA key", repr(str(path)))
    return key
