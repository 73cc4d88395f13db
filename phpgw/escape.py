"""Makes foreign text safe for a terminal and for the log.

Names and states come from browsers and from PHP. A control character in them could move the
cursor, change the colours, or type something for the user. A bidi control could make a text look
like another one, and so could a character that cannot be seen (Unicode Technical Report 36,
sections 2.5 and 2.6). Joiners stay: several scripts and emoji need them.
"""

import re

# C0, DEL and C1; line and paragraph separators; bidi controls; half of a surrogate pair; characters
# without a picture, such as the zero width space, and tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    "\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return a text with ``\x1b`` or ``\u202e`` in place of each character that is not safe."""

    def escaped(match: re.Match[str]) -> str:
        number = ord(match[0])
        if number <= 0xFF:
            return f"\\x{number:02x}"
        return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"

    return _UNSAFE.sub(escaped, text)
