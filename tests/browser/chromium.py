"""Debian's Chromium, driven by Playwright; and what it complains about."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["FLAGS", "PHONE", "Complaints", "find_chromium", "launched"]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
PHONE = {"width": 390, "height": 844}


def find_chromium() -> str | None:
    """Return the path of Chromium, or None if there is none; CHROMIUM names another one."""
    return shutil.which(os.environ.get("CHROMIUM", "chromium"))


@contextmanager
def launched(executable: str) -> Iterator[Browser]:
    """Keep a browser running."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Complaints(list[str]):
    """What goes wrong on a page from now on: errors and warnings of the console, which a breach of the
    Content-Security-Policy is too; exceptions; and requests to another host."""

    def __init__(self, page: Page, host: str) -> None:
        super().__init__()
        self.host = host
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.append(f"{page.url}: {error}"))
        page.on("request", self._note_request)

    def _note_message(self, message: Any) -> None:
        where = message.location["url"]
        # Which a browser asks every site for; Django's admin has none.
        if message.type in ("error", "warning") and not where.endswith("/favicon.ico"):
            self.append(f"{where}: {message.type}: {message.text}")

    def _note_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.append(f"A request went to another host: {request.url}")
