import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["PayloadField"]


class PayloadField(models.JSONField):
    """JSON that is kept as it was written: key order, number format and all.

    PostgreSQL's json rather than jsonb: it is validated, but not parsed on the way in and rebuilt on the way out, and
    1e16 does not come back as an integer. Nothing on the hot path looks inside.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        if super().db_type(connection) == "jsonb":
            return "json"
        return super().db_type(connection)

    def from_db_value(self, value: object, expression: object, connection: BaseDatabaseWrapper) -> Any:
        # The driver decodes json itself: Django only tells it not to decode jsonb.
        if value is None or not isinstance(value, str | bytes):
            return value
        try:
            return json.loads(value, cls=self.decoder)
        except ValueError:
            return value
