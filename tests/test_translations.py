"""Every text of the pages can be read in every language that the package has."""

import gettext
import os
from pathlib import Path

import pytest
from django.test import Client

from . import scenes
from .admin.pages import address, post_action, text
from .translations import HAS_GETTEXT, catalogues, compiled, complaints

needs_gettext = pytest.mark.skipif(
    not HAS_GETTEXT and os.environ.get("CI") != "true", reason="There is no xgettext: apt-get install gettext."
)


@needs_gettext
def test_the_catalogues_say_all_that_the_code_does() -> None:
    assert complaints() == []


@needs_gettext
@pytest.mark.parametrize("catalogue", catalogues(), ids=lambda path: path.parents[1].name)
def test_the_catalogues_are_compiled(catalogue: Path) -> None:
    with catalogue.with_suffix(".mo").open("rb") as file:
        stored = gettext.GNUTranslations(file)
    made = catalogue.with_suffix(".mo").read_bytes()
    assert made == compiled(catalogue), "Run python -m tests.translations --update."
    assert len(stored._catalog) > 200  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_the_pages_are_in_german(admin_client: Client, settings: object) -> None:
    settings.LANGUAGE_CODE = "de"  # type: ignore[attr-defined]
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    shown = text(admin_client.get(address("job", "change", job)))
    assert "Warum er nicht läuft: Kein Worker lebt: Starten Sie einen mit manage.py taskworker." in shown
    assert "Ablauf" in shown
    shown = text(admin_client.get(address("result")))
    assert "Ergebnisse nach der Zeit ihres Endes" in shown
    assert "Fehlschläge nach Fehler" in shown
    question = post_action(admin_client, "result", "delete_selected", [key])
    assert "1 Ergebnis löschen? Danach lässt es sich weder ansehen noch wiederholen." in text(question)
    assert "Fehlgeschlagen" in text(admin_client.get(address("result", "change", key)))
