"""A browser for tests of pages: headless Chromium, and axe, which finds what shuts people out."""

import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """Headless Chromium, driven through its DevTools protocol."""

    def __init__(self, binary, profile):
        flags = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            "--remote-debugging-port=0"
        )
        command = [binary, *flags.split(), f"--user-data-dir={profile}", "about:blank"]
        self.open_things = contextlib.ExitStack()
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)
        port = Path(profile) / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port.exists() and port.read_text().count("\n")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                pytest.skip("Chromium does not start here")
            time.sleep(0.05)
        number, path = port.read_text().split("\n")[:2]
        connect = pytest.importorskip("websockets.sync.client").connect
        where = f"ws://127.0.0.1:{number}{path}"
        self.socket = self.open_things.enter_context(connect(where, max_size=None, proxy=None))
        self.counter, self.events, self.session = itertools.count(1), [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self.counter)
        message = {"id": number, "method": method, "params": params}
        self.socket.send(
            json.dumps(message | ({"sessionId": self.session} if self.session else {}))
        )
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width, dark=False):
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 30
        while self.ask("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.05)

    def ask(self, expression):
        how = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code):
        """Press a key of the keyboard and let it go, wherever the focus is."""
        how = {"key": key, "windowsVirtualKeyCode": code, "text": "\r" if key == "Enter" else ""}
        self.call("Input.dispatchKeyEvent", type="keyDown", **how)
        self.call("Input.dispatchKeyEvent", type="keyUp", **how)

    def of(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self):
        self.open_things.close()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


@pytest.fixture(scope="session")
def browser():
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if binary is None:
        pytest.skip("no Chromium on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(binary, profile)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(browser, tmp_path_factory):
    """Return what opens a page in light and dark and lists what axe finds serious or worse."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to get axe-core by")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "--silent", "--fetch-retries=0", "axe-core@4"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm does not get axe-core here")
    shutil.unpack_archive(next(folder.glob("*.tgz")), folder, filter="data")
    script = (folder / "package" / "axe.min.js").read_text()

    def found(page):
        path, serious = folder / "page.html", []
        path.write_text(page, encoding="utf-8")
        for dark in (False, True):
            browser.open(path, 1280, dark)
            browser.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
            browser.ask(f"(() => {{ {script} }})()")
            violations = json.loads(
                browser.ask("axe.run().then(found => JSON.stringify(found.violations))")
            )
            serious += [
                f"{'dark' if dark else 'light'} {one['impact']} {one['id']}: {node['html'][:200]}"
                for one in violations
                if one["impact"] in ("serious", "critical")
                for node in one["nodes"]
            ]
        return serious

    return found
