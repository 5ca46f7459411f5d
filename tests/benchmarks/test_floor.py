"""That the floor can still be measured, not how low it is."""

import pytest

from .. import servers
from ..needs import require
from . import floor

pytestmark = pytest.mark.only_on("postgresql")


@pytest.mark.project
@pytest.mark.django_db  # Not of this session's database, but no connection of Django's is allowed without.
def test_measures_the_database_and_the_machine() -> None:
    url = require(servers.postgresql_url)
    found = floor.measure(url, ["claim_and_finish_10", "insert_django_cursor", "listen_notify", "pipe_1"], seconds=0.2)
    assert [*found] == ["claim_and_finish_10", "insert_django_cursor", "listen_notify", "pipe_1"]
    for figure in found.values():
        assert figure.units > 0
        assert 0 < figure.rate <= figure.effective_rate
        assert figure.client_cpu > 0
    assert found["claim_and_finish_10"].p50 is None
    heard = found["listen_notify"]
    percentiles = [heard.p50 or 0.0, heard.p95 or 0.0, heard.p99 or 0.0]
    assert percentiles[0] > 0
    assert percentiles == sorted(percentiles)


def test_an_unknown_name_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ValueError, match="There is no measurement inserts. There are: claim_and_finish_1, "):
        floor.measure("postgresql://nowhere", ["inserts"])
