"""A real browser on a live server of the test project, with a real worker on the session's database.

    def test_something(visit, worker):
        page = visit("django_tasks_q_result_changelist")   # logged in as a superuser
        page.get_by_role("link", name="tests.tasks.noop").click()

Any error in the console, breach of the Content-Security-Policy or request to another host fails the test; serious
violations of accessibility do where the test calls `accessible(page)`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from config import settings as test_project
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from .. import servers
from ..needs import require
from ..waiting import LIMIT
from .axe import axe_script, violations
from .chromium import Complaints, find_chromium, launched

SECONDS = 1_000  # milliseconds
expect.set_options(timeout=LIMIT * SECONDS)

OpenPage = Callable[..., Page]


class Visit(Protocol):
    def __call__(self, view: str, *args: Any, query: str = "") -> Page: ...


def _require_chromium() -> str:
    if (path := find_chromium()) is None:
        raise servers.MissingService("There is no Chromium: apt-get install chromium, or name one in CHROMIUM.")
    return path


@pytest.fixture(scope="session", autouse=True)
def queries_beside_the_browser() -> Iterator[None]:
    """Playwright keeps an event loop in the thread of the tests, where Django would refuse a query for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched(require(_require_chromium)) as browser:
        yield browser


@pytest.fixture
def site(transactional_db: None, settings: Any) -> Iterator[str]:
    """Serve the test project, with its strict Content-Security-Policy; return where."""
    for name in ("ROOT_URLCONF", "MIDDLEWARE", "CONTENT_SECURITY_POLICY"):
        setattr(settings, name, getattr(test_project, name))
    settings.TASKS = {"default": settings.TASKS["default"]}
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[OpenPage]:
    """Open a page as somebody: open_page(user), or open_page(user, color_scheme="dark", viewport=PHONE).

    Whatever the browser complains about fails the test in the end. The page is about:blank until it is told to go.
    """
    opened: list[tuple[BrowserContext, Complaints]] = []

    def open_page(user: User | None = None, **options: Any) -> Page:
        context = browser.new_context(base_url=site, **options)
        context.set_default_timeout(LIMIT * SECONDS)
        if user is not None:
            context.add_cookies([_session_cookie(user, site)])
        page = context.new_page()
        opened.append((context, Complaints(page, site.partition("//")[2])))
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    assert [complaint for _, complaints in opened for complaint in complaints] == []


def _session_cookie(user: User, site: str) -> Any:
    client = Client()
    client.force_login(user)
    name = django_settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": site}


@pytest.fixture
def superuser(transactional_db: None) -> User:
    return User.objects.create_superuser("anna")


@pytest.fixture
def make_user(transactional_db: None) -> Callable[..., User]:
    """Make somebody of the staff with these permissions of this package and no others."""

    def make_user(*codenames: str, name: str = "alice") -> User:
        user = User.objects.create_user(name, is_staff=True)
        permissions = Permission.objects.filter(content_type__app_label="django_tasks_q", codename__in=codenames)
        assert len(permissions) == len(codenames)
        user.user_permissions.set(permissions)
        return user

    return make_user


@pytest.fixture
def page(open_page: OpenPage, superuser: User) -> Page:
    """A page of a superuser's, in the light, on a wide screen."""
    return open_page(superuser)


@pytest.fixture
def visit(page: Page) -> Visit:
    """Go to a view of the admin by its name, with the superuser's page."""

    def visit(view: str, *args: Any, query: str = "") -> Page:
        response = page.goto(reverse(f"admin:{view}", args=args) + query)
        assert response is not None
        assert response.status == 200
        return page

    return visit


@pytest.fixture
def accessible() -> Callable[..., None]:
    """Fail where axe-core finds a serious violation: accessible(page), or accessible(page, "main")."""
    require(axe_script)

    def check(page: Page, within: str = "body") -> None:
        assert violations(page, within) == []

    return check
