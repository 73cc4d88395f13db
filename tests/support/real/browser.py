"""A real browser: headless Chromium, driven by way of chromedriver and selenium."""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from selenium.webdriver import ActionChains, ChromeOptions, Remote
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.real.process import Process, accepts, find, free_port, wait_until
from tests.support.real.process_table import naming

T = TypeVar("T")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
)

# What console.log("text", 1) is handed over as: https://127.0.0.1:8080/page.js 12:34 "text" 1
_CONSOLE_LINE = re.compile(r"\S+ \d+:\d+ (.*)", re.DOTALL)
_CONSOLE_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


class _Chromedriver(Process):
    name = "chromedriver"

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        program = find(["chromedriver"], "chromium-driver")
        # Whatever the browser keeps besides its profile has to be gone with the test, too.
        env = {**os.environ, "HOME": str(directory), "TMPDIR": str(directory)}
        super().__init__(directory, [program, f"--port={self.port}"], env=env)

    def is_ready(self) -> bool:
        return accepts(self.port)


class Browser:
    """A browser with a new profile and one window.

    :meth:`start` and :meth:`quit` block; all else is done in a thread, so that the reactor can
    serve the page that the browser waits for.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._chromedriver = _Chromedriver(directory)
        self._driver: Remote | None = None
        self._console: list[str] = []

    def start(self) -> Self:
        """Start it."""
        self._chromedriver.start()
        try:
            self._driver = self._open_window()
        except BaseException:
            self._chromedriver.stop()
            raise
        self._driver.set_page_load_timeout(30)
        self._driver.set_script_timeout(30)
        return self

    def open(self, url: str) -> Deferred[None]:
        """Go to a page, and wait until it has loaded."""
        return self._in_thread(lambda driver: driver.get(url))

    def run(self, script: str, *arguments: object) -> Deferred[Any]:
        """Run the body of a JavaScript function in the page, for what it returns.

        A promise is waited for.
        """
        return self._in_thread(lambda driver: driver.execute_script(script, *arguments))

    def run_async(self, script: str, *arguments: object) -> Deferred[Any]:
        """The same, for what it passes to the function that is its last argument."""
        return self._in_thread(lambda driver: driver.execute_async_script(script, *arguments))

    def press(self, *keys: str) -> Deferred[None]:
        """Press keys, of :class:`selenium.webdriver.Keys` or characters, one after another."""
        return self._in_thread(lambda driver: ActionChains(driver).send_keys(*keys).perform())

    def screenshot(self, path: Path) -> Deferred[None]:
        """Write what the window shows to a PNG file."""

        def save(driver: Remote) -> None:
            assert driver.save_screenshot(str(path)), f"no screenshot in {path}"

        return self._in_thread(save)

    def console(self) -> Deferred[list[str]]:
        """All that the console has shown since the start, the browser's own messages too."""
        return self._in_thread(self._read_console)

    def console_with(self, text: str, timeout: float = 10.0) -> Deferred[list[str]]:
        """The same, once it has a message which contains this text."""

        def wait(driver: Remote) -> list[str]:
            def has_text() -> bool:
                return any(text in message for message in self._read_console(driver))

            wait_until(has_text, timeout, f"{text!r} in the console {self._console}")
            return list(self._console)

        return self._in_thread(wait)

    def quit(self) -> None:
        """End it."""
        driver, self._driver = self._driver, None
        try:
            if driver is not None:
                driver.quit()
        finally:
            self._chromedriver.stop()
            # Its crash handlers, each in a session of its own, go when they see it gone.
            wait_until(lambda: not naming(self._directory), 10.0, "the end of all of Chromium")

    def stop(self) -> None:
        """The same, by the name that it has with processes."""
        self.quit()

    @property
    def log(self) -> str:
        """Return the output of chromedriver and the browser."""
        return self._chromedriver.log

    def _open_window(self) -> Remote:
        options = ChromeOptions()
        options.binary_location = self._write_launcher()
        options.accept_insecure_certs = True
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*_FLAGS, f"--user-data-dir={self._directory / 'profile'}"):
            options.add_argument(flag)
        # To a driver that runs already, selenium neither looks for one nor downloads it.
        address = f"http://127.0.0.1:{self._chromedriver.port}"
        near = ClientConfig(address, proxy=Proxy({"proxyType": ProxyType.DIRECT}), timeout=40)
        return Remote(address, options=options, client_config=near)

    def _in_thread(self, use: Callable[[Remote], T]) -> Deferred[T]:
        assert self._driver is not None, "the browser does not run"
        return deferToThread(use, self._driver)

    def _read_console(self, driver: Remote) -> list[str]:
        for entry in driver.execute("getLog", {"type": "browser"})["value"]:
            self._console.append(_as_shown(entry["message"]))
        return list(self._console)

    def _write_launcher(self) -> str:
        """A browser that goes when its driver is killed, which would otherwise leave it behind."""
        setpriv = find(["setpriv"], "util-linux")
        chromium = find(["chromium"], "chromium")
        launcher = self._directory / "chromium"
        command = shlex.join([setpriv, "--pdeathsig", "KILL", "--", chromium])
        launcher.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        launcher.chmod(0o700)
        return str(launcher)


def _as_shown(message: str) -> str:
    line = _CONSOLE_LINE.fullmatch(message)
    if line is None:
        return message
    return _CONSOLE_TEXT.sub(lambda text: str(json.loads(text[0])), line[1])
