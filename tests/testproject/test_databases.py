from pathlib import Path

import pytest
from config.databases import database_from_url
from django.core.exceptions import ImproperlyConfigured


def test_sqlite_by_an_absolute_path_has_what_a_queue_needs() -> None:
    settings = database_from_url("sqlite:////srv/data/site.sqlite3")
    assert settings["NAME"] == Path("/srv/data/site.sqlite3")
    assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in settings["OPTIONS"]["init_command"]


def test_sqlite_by_a_relative_path() -> None:
    assert database_from_url("sqlite:///site.sqlite3")["NAME"] == Path("site.sqlite3")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_with_everything(scheme: str) -> None:
    assert database_from_url(f"{scheme}://us%40er:p%2Fw@db.example:6543/site?sslmode=require") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "site",
        "USER": "us@er",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "require"},
    }


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_mysql_speaks_all_of_unicode(scheme: str) -> None:
    settings = database_from_url(f"{scheme}://root@127.0.0.1/site")
    assert settings["ENGINE"] == "django.db.backends.mysql"
    assert (settings["PASSWORD"], settings["PORT"]) == ("", "")
    assert settings["OPTIONS"] == {"charset": "utf8mb4"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://secret:password@host/name", "scheme 'oracle'"),
        ("db.sqlite3", "scheme ''"),
        ("postgres://secret:password@host", "names no database"),
        ("sqlite://", "names no database"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message) as caught:
        database_from_url(url)
    assert "password@host/name" not in str(caught.value)
    assert "secret" not in str(caught.value)
