"""The capability flags that both sides of a connection agree on at login."""

from enum import IntFlag


class Capability(IntFlag):
    """The flags, by the names that MySQL gives them."""

    LONG_PASSWORD = 1 << 0
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    NO_SCHEMA = 1 << 4
    COMPRESS = 1 << 5
    ODBC = 1 << 6
    LOCAL_FILES = 1 << 7
    IGNORE_SPACE = 1 << 8
    PROTOCOL_41 = 1 << 9
    INTERACTIVE = 1 << 10
    SSL = 1 << 11
    IGNORE_SIGPIPE = 1 << 12
    TRANSACTIONS = 1 << 13
    SECURE_CONNECTION = 1 << 15
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PS_MULTI_RESULTS = 1 << 18
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC = 1 << 21


# What PHP is offered, if the server has it. Not among it:
# - SSL, COMPRESS: the bytes are passed on as they are, and PHP is on this machine;
# - LOCAL_FILES: the server would ask PHP for files of its choice;
# - CONNECT_ATTRS: they would name a PHP process that the connection outlives;
# - what changes the form of answers, or is newer than this list.
OFFERED = (
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.NO_SCHEMA
    | Capability.ODBC
    | Capability.IGNORE_SPACE
    | Capability.PROTOCOL_41
    | Capability.INTERACTIVE
    | Capability.IGNORE_SIGPIPE
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_STATEMENTS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
)

# Without these there is no login that is known here.
REQUIRED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
# What each login at a server has. Without LONG_PASSWORD, MariaDB takes the client for one that
# speaks its extensions.
ALWAYS = REQUIRED | Capability.LONG_PASSWORD
# Chosen by the login itself.
OF_THE_LOGIN = ALWAYS | Capability.CONNECT_WITH_DB
