"""The costs of code, counted instead of timed: calls, and blocks of memory.

Counts are the same on each run and on each machine, so that a test can compare them.
"""

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import attrs
from twisted.logger import LogPublisher

import phpgw

_OURS = f"{Path(phpgw.__file__).parent}/"
_STANDARD_LIBRARY = f"{Path(os.__file__).parent}/"
_SITE_PACKAGES = "/site-packages/"
# A class with methods that attrs has made is in their file name.
_MADE_BY_ATTRS = re.compile(r"<attrs generated \w+ phpgw\.(.+)>")
# They stand in for the sockets and the clock of a real reactor.
_FAKES = ("twisted/internet/testing.py", "twisted/internet/task.py")
# What the observers of the log do depends on who runs the tests.
_UNCOUNTED = LogPublisher.__call__.__code__
_UNCOUNTED_END = "uncounted end"


@attrs.frozen
class Calls:
    """The calls that an action makes.

    :ivar own: calls of Python functions of phpgw, by function. Each time that a generator
        continues is a call.
    :ivar c: calls of functions written in C from functions of phpgw, by the calling function.
    :ivar library: calls of Python functions of libraries, the standard library included, by file.
    """

    own: Counter[str] = attrs.field(factory=Counter)
    c: Counter[str] = attrs.field(factory=Counter)
    library: Counter[str] = attrs.field(factory=Counter)

    def total(self) -> int:
        """Return how many these are in all."""
        return self.own.total() + self.c.total() + self.library.total()


def count_calls(action: Callable[[], object]) -> Calls:
    """Count the calls of an action."""
    calls = Calls()

    def note(frame: FrameType, event: str) -> None:
        code = frame.f_code
        if event == "call":
            if function := _own_function(code):
                calls.own[function] += 1
            elif library := _library(code):
                calls.library[library] += 1
        elif event == "c_call" and (function := _own_function(code)):
            calls.c[function] += 1

    _watch(action, note)
    return calls


def count_blocks(action: Callable[[], object]) -> int:
    """Count the blocks of memory that an action allocates.

    It adds up by how much the number of blocks has grown from each call or return to the next, the
    frames of the calls included. What is allocated and freed in between is not seen.
    """
    allocated = sys.getallocatedblocks
    blocks = before = 0

    def note(frame: FrameType, event: str) -> None:
        nonlocal blocks, before
        if event != _UNCOUNTED_END:
            blocks += max(allocated() - before, 0)
        before = allocated()

    gc.disable()
    try:
        before = allocated()
        _watch(action, note)
    finally:
        gc.enable()
    return blocks


def count_garbage(action: Callable[[], object]) -> int:
    """Count the objects of an action that only the garbage collector can free."""
    gc.disable()
    # Spares the collector all other objects.
    gc.freeze()
    try:
        action()
        return gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()


def _watch(action: Callable[[], object], note: Callable[[FrameType, str], None]) -> None:
    """Run an action, and note each event of ``sys.setprofile`` in it."""
    uncounted: FrameType | None = None

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal uncounted
        if uncounted is None:
            if event == "call" and frame.f_code is _UNCOUNTED:
                uncounted = frame
            else:
                note(frame, event)
        elif frame is uncounted and event == "return":
            uncounted = None
            note(frame, _UNCOUNTED_END)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(before)


def _own_function(code: CodeType) -> str:
    """Return room and name of a function of phpgw; empty for any other function."""
    name = code.co_filename
    if name.startswith(_OURS):
        return f"{name[len(_OURS) :]} {code.co_qualname}"
    made = _MADE_BY_ATTRS.fullmatch(name)
    return f"{made[1]} {code.co_name}" if made else ""


def _library(code: CodeType) -> str:
    """Return the file of a function of a library; empty for any other function."""
    _, separator, name = code.co_filename.rpartition(_SITE_PACKAGES)
    if separator:
        return name if name not in _FAKES else ""
    name = code.co_filename
    return name[len(_STANDARD_LIBRARY) :] if name.startswith(_STANDARD_LIBRARY) else ""
