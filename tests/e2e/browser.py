"""A real Chromium without a window, driven over the WebDriver protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import free_port

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1700,760",
)


class Browser:
    """One window. Elements are named by CSS selectors."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Go to an address, and wait for the page."""
        _ask(f"{self._session}/url", {"url": url})

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        _ask(f"{self._session}/element/{self._element(selector)}/value", {"text": text})

    def ask(self, script: str) -> Any:
        """What a script of the page returns."""
        return _ask(f"{self._session}/execute/sync", {"script": script, "args": []})

    def table(self, selector: str) -> list[list[str]]:
        """The text that is seen in each cell of a table's body."""
        rows = f"[...document.querySelectorAll('{selector} tbody tr')]"
        found: list[list[str]] = self.ask(
            f"return {rows}.map(row => [...row.cells].map(cell => cell.innerText.replaceAll('\\n', '')))"
        )
        return found

    def wait(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Return once ``condition`` holds; raises AssertionError with what the page shows instead."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.ask("return document.body.innerText")
            time.sleep(0.2)

    def screenshot(self, path: Path) -> None:
        """What the window shows, as a PNG file."""
        path.write_bytes(base64.b64decode(_ask(f"{self._session}/screenshot")))

    def _element(self, selector: str) -> str:
        (element,) = _ask(f"{self._session}/element", {"using": "css selector", "value": selector}).values()
        return str(element)


@contextmanager
def browser() -> Iterator[Browser]:
    """A new Chromium with a profile of its own; both are gone afterwards."""
    assert shutil.which("chromedriver"), "There is no chromedriver here; install it with: scripts/chromium.sh"
    port = free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_for(base, driver)
        with tempfile.TemporaryDirectory(prefix="scaffoldry-chromium-") as profile:
            options = {"args": [*OPTIONS, f"--user-data-dir={profile}"]}
            wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
            session = f"{base}/session/{_ask(f'{base}/session', wanted)['sessionId']}"
            try:
                yield Browser(session)
            finally:
                _ask(session, method="DELETE")
    finally:
        driver.terminate()
        driver.wait(10)


def _ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode()[:1000]}") from None


def _wait_for(base: str, driver: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        assert driver.poll() is None, f"chromedriver ended with {driver.returncode}"
        try:
            _ask(f"{base}/status")
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("chromedriver did not answer within 10 s")
