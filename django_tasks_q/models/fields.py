import json
from typing import Any

from django.db import models

__all__ = ["PayloadField"]


class PayloadField(models.JSONField):
    """JSON that is kept as it was written: key order, number format and all.

    PostgreSQL's json rather than jsonb: it is checked, but neither taken apart on the way in nor put together on the
    way out, and 1e16 does not come back as an integer. Nothing on the hot path looks inside.
    """

    def db_type(self, connection: Any) -> str | None:
        if super().db_type(connection) == "jsonb":
            return "json"
        return super().db_type(connection)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        # The driver decodes json by itself where Django has taught it to leave only jsonb alone.
        if value is None or not isinstance(value, str | bytes):
            return value
        try:
            return json.loads(value, cls=self.decoder)
        except ValueError:
            return value
