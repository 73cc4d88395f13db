"""Lines that people copy: settings of the gateway, and commands of a shell.

What is in them may be foreign: the names of files, or what a server has sent.
"""

import json
import shlex


def setting(name: str, value: str | list[str]) -> str:
    """Return a line of the gateway's configuration, in TOML.

    A string of JSON is one of TOML, too.
    """
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def command(*words: object) -> str:
    """Return a command line for a shell."""
    return shlex.join(map(str, words))
