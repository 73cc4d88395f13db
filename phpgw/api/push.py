"""A push: a form or a JSON object that says what to send to whom, which makes it one command."""

from phpgw.api.forms import InvalidForm
from phpgw.hub.commands import Send, Target

# Fields, and what kind of target each of them names.
_KINDS = {"client_id": "client", "group": "group", "user": "user", "all": "all"}
_HINT = "send message and client_id as a form"


def read_push(fields: dict[str, bytes]) -> Send:
    """Make sense of a form's fields.

    :raises InvalidForm: if there is none in them.
    """
    if "message" not in fields:
        raise InvalidForm(f"the field message is missing; {_HINT}")
    named = [field for field in _KINDS if field in fields]
    if not named:
        raise InvalidForm(f"the field client_id is missing (or group, user, all=1); {_HINT}")
    if len(named) > 1:
        raise InvalidForm(f"{' and '.join(named)} exclude each other; send one of them")
    [field] = named
    if field == "all" and fields["all"] != b"1":
        raise InvalidForm("all has one value, all=1")
    message = fields["message"]
    try:
        # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
        message.decode()
        names = () if field == "all" else (fields[field].decode(),)
    except UnicodeDecodeError:
        raise InvalidForm("the form's text is not UTF-8") from None
    return Send(Target(_KINDS[field], names), message)
