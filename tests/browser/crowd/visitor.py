"""Somebody with a browser, who notes what each page costs and what is wrong with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Response

from ..axe import violations
from ..chromium import PHONE, Complaints
from .pages import Address
from .report import Look, Sight

__all__ = ["LOOKS", "Visitor"]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": PHONE},
}
WIDE = {"width": 1360, "height": 900}
SECONDS = 1_000  # milliseconds
PATIENCE = 60 * SECONDS


class Visitor:
    """Looks at pages with the cookies of somebody who has logged in."""

    def __init__(self, browser: Browser, site: str, cookie: dict[str, str]) -> None:
        self.browser = browser
        self.site = site
        self.cookie = cookie
        self.sights: dict[str, Sight] = {}

    def sight(self, name: str) -> Sight:
        return self.sights.setdefault(name, Sight(name))

    def look(self, address: Address) -> None:
        """Look at a page in every way; ask as often for an answer in JSON."""
        sight = self.sight(address.name)
        for name, options in LOOKS.items():
            with self.page(sight, **options) as page:
                if address.is_page:
                    _check_status(page.goto(address.url), 200)
                    sight.complaints.extend(f"{name}: {fault}" for fault in _faults(page, name))
                else:
                    answer = page.request.get(address.url)
                    # Unhealthy is an answer too.
                    _check_status(answer, 200, 503)
                    _note_timing(sight, answer.headers)

    @contextmanager
    def page(self, sight: Sight, **options: Any) -> Iterator[Page]:
        """Open a page; what the server takes for its documents, and what goes wrong on it, is noted."""
        context = self.browser.new_context(base_url=self.site, **{"viewport": WIDE, **options})
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{**self.cookie, "url": self.site}])  # type: ignore[typeddict-item]
        page = context.new_page()
        complaints = Complaints(page, self.site.partition("//")[2])
        page.on("response", lambda response: _note(sight, response))
        try:
            yield page
        except Exception as error:  # The other pages are of interest anyway.
            sight.complaints.append(f"{type(error).__name__}: {error}")
        finally:
            sight.complaints.extend(complaints)
            context.close()


def _faults(page: Page, look: str) -> Iterator[str]:
    yield from violations(page, "#content")
    width = page.evaluate("document.documentElement.scrollWidth")
    if look == "phone" and width > PHONE["width"]:
        yield f"the page is {width} pixels wide"


def _check_status(response: Any, *expected: int) -> None:
    if response is None or response.status not in expected:
        raise AssertionError(f"The status is {response and response.status}.")


def _note(sight: Sight, response: Response) -> None:
    """Keep what the server tells of its pages. What refreshes itself, or files of style, are none of them."""
    if response.request.resource_type == "document":
        _note_timing(sight, response.headers)


def _note_timing(sight: Sight, headers: Mapping[str, str]) -> None:
    if header := headers.get("server-timing"):
        figures = {name: float(value) for name, value in (part.strip().split(";dur=") for part in header.split(","))}
        sight.looks.append(Look(figures["total"], figures["db"], round(figures["queries"])))
