"""A visitor of a running site."""

import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

from .waiting import LIMIT

__all__ = ["Visitor"]


class Visitor:
    """A headless browser. URLs are relative to the site; `headers` are those of the last page."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.headers: Any = {}
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str = "") -> str:
        """Return a page."""
        return self._open(path, None)[1]

    def submit(self, page: str, action: str, /, **fields: str) -> str:
        """Send a form on a page, and return the URL after redirects."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page))
        assert token, f"There is no form on {page}."
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        return self._open(action, data)[0]

    def _open(self, path: str, data: bytes | None) -> tuple[str, str]:
        with self.opener.open(urllib.parse.urljoin(self.site, path), data, timeout=LIMIT) as response:
            self.headers = response.headers
            return str(response.geturl()), str(response.read().decode())
