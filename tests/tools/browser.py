"""A headless Chromium, driven through chromedriver's WebDriver protocol with the standard library.

`python tests/tools/browser.py install` installs both on Debian (as root) if they are missing.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromedriver")
FLAGS = [
    *["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
    *["--no-first-run", "--disable-background-networking", "--disable-component-update"],
    *["--disable-sync", "--hide-scrollbars", "--allow-file-access-from-files"],
    # No name resolves: what a page would fetch from the network fails, and shows in its log.
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
AXE = Path(__file__).parents[2] / "build/axe/package/axe.min.js"
"""Judges how accessible a page is; `make test-report` fetches it by npm."""
VIOLATIONS = """
return axe.run(document, {preload: false, resultTypes: ["violations"]})
  .then(found => found.violations.map(v => v.id + ": " + v.nodes[0].html.slice(0, 120)));
"""
PHONE = (360, 740)
DESKTOP = (1280, 900)


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Browser:
    """One session; methods are named by what a reader does."""

    def __init__(self, base: str, profile: Path) -> None:
        self.base = base
        options = {
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, f"--user-data-dir={profile}"],
        }
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        found = self._call("POST", "session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"session/{found['sessionId']}"

    def close(self) -> None:
        """End the session and its Chromium."""
        self._call("DELETE", self.session)

    def open(self, page: Path, size: tuple[int, int] = DESKTOP) -> None:
        """Open a file in a window of this size (width, height in CSS pixels)."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        metrics["mobile"] = size == PHONE
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        self._call("POST", f"{self.session}/goog/cdp/execute", command)
        self._call("POST", f"{self.session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; return what it returns (a promise's value, too)."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self.session}/execute/sync", body)

    def wait(self, script: str, *arguments: Any, seconds: float = 15.0) -> Any:
        """Return the script's value as soon as it is true; fail after some seconds."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"still not true: {script} {arguments}"
            time.sleep(0.05)
        return found

    def type(self, selector: str, text: str) -> None:
        """Type into the first element of a CSS selector, key by key; a new line is Enter."""
        where = {"using": "css selector", "value": selector}
        (element,) = self._call("POST", f"{self.session}/element", where).values()
        keys = {"text": text.replace("\n", "\ue007")}
        self._call("POST", f"{self.session}/element/{element}/value", keys)

    def violations(self) -> list[str]:
        """Return what axe-core complains of, with all details of the page open."""
        self.run("document.querySelectorAll('details').forEach(e => e.open = true)")
        self.run(AXE.read_text(encoding="utf-8"))
        return self.run(VIOLATIONS)

    def errors(self) -> list[str]:
        """Return what the console has said since the last call: warnings and errors."""
        entries = self._call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))

    def _call(self, method: str, path: str, body: dict | None = None) -> Any:
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(f"{self.base}/{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lives in `folder`; it and its driver end with the block."""
    log = folder / "chromedriver.log"
    with open(log, "w") as out:
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=out, stderr=out)
    try:
        port = _port(driver, log)
        session = Browser(f"http://127.0.0.1:{port}", folder / "profile")
        try:
            yield session
        finally:
            session.close()
    finally:
        driver.terminate()
        driver.wait(10)


def _port(driver: subprocess.Popen, log: Path) -> int:
    """The port that chromedriver chose, from what it prints."""
    end = time.monotonic() + 30
    while time.monotonic() < end and driver.poll() is None:
        for line in log.read_text().splitlines():
            if "started successfully on port" in line:
                return int(line.rstrip(".").rpartition(" ")[2])
        time.sleep(0.05)
    raise AssertionError(f"chromedriver did not start:\n{log.read_text()}")


def install() -> str:
    """Install what is missing; return why that is not possible, or nothing."""
    if not missing():
        return ""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"no {' and '.join(missing())}; on Debian: apt-get install chromium chromium-driver"
    command = [
        "apt-get",
        "install",
        "-qy",
        "--no-install-recommends",
        "chromium",
        "chromium-driver",
    ]
    for step in (["apt-get", "update", "-q"], command):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            return f"{' '.join(step)} failed: {done.stderr.strip()[-300:]}"
    return ""


if __name__ == "__main__":
    assert sys.argv[1:] == ["install"], "usage: python tests/tools/browser.py install"
    reason = install()
    sys.exit(f"SKIP: {reason}" if reason else 0)
