"""Findings: what a probe has found out, why it matters, and the line that changes it."""

from enum import StrEnum

import attrs

DOCS = "docs/check.rst"


class Level(StrEnum):
    """The levels of findings. Only what breaks messages is wrong."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    WRONG = "wrong"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Finding:
    """A finding.

    :ivar id: names the subject; the same whatever was found.
    :ivar what: what was found, in a sentence.
    :ivar why: why it matters; if the subject was skipped, what the probe would need.
    :ivar fix: the line to write or to run; empty if there is nothing to do.
    :ivar where: the file, or the place in it, for this line.
    :ivar seen: what the probe has seen, as it came. It may be foreign text.
    """

    id: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
    where: str = ""
    seen: str = ""

    @property
    def docs(self) -> str:
        """Return where the documentation explains it."""
        return f"{DOCS}#{self.id}"

    def as_json(self) -> dict[str, str]:
        """Return all fields, for programs."""
        return {**attrs.asdict(self), "level": self.level.value, "docs": self.docs}


@attrs.frozen
class Subject:
    """A thing that a probe looks at.

    :ivar id: its name, in the output and in the documentation.
    """

    id: str

    def ok(self, what: str, *, seen: str = "") -> Finding:
        """Return that all is well."""
        return Finding(id=self.id, level=Level.OK, what=what, seen=seen)

    def note(
        self, what: str, *, why: str, fix: str = "", where: str = "", seen: str = ""
    ) -> Finding:
        """Return a remark on something that works."""
        return self._finding(Level.NOTE, what, why, fix, where, seen)

    def warn(self, what: str, *, why: str, fix: str, where: str = "", seen: str = "") -> Finding:
        """Return that something will go wrong some day, or for some."""
        return self._finding(Level.WARN, what, why, fix, where, seen)

    def wrong(self, what: str, *, why: str, fix: str, where: str = "", seen: str = "") -> Finding:
        """Return that something is wrong."""
        return self._finding(Level.WRONG, what, why, fix, where, seen)

    def skipped(self, what: str, *, why: str) -> Finding:
        """Return that the subject was not looked at.

        :param why: what the probe would need.
        """
        return self._finding(Level.SKIPPED, what, why, "", "", "")

    def _finding(
        self, level: Level, what: str, why: str, fix: str, where: str, seen: str
    ) -> Finding:
        return Finding(id=self.id, level=level, what=what, why=why, fix=fix, where=where, seen=seen)
