"""How far hypothesis looks: a few seconds by default, as far as TEST_HYPOTHESIS_EXAMPLES says in each property."""

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

__all__ = ["JSON", "NAMES", "TEXT", "examples"]

# All that Python takes for text, half a pair of surrogates too.
TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
# What every database can hold.
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | NAMES
JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def examples(usually: int, *, shrink: bool = True) -> settings:
    """Return the settings of a property that is usually tried with so many examples.

    shrink: whether to look for the smallest example that fails; not where each takes seconds.
    """
    return settings(
        max_examples=int(os.environ.get("TEST_HYPOTHESIS_EXAMPLES") or usually),
        # A machine that is busy with something else is no failure, and a fixture serves all examples of a property.
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])],
        database=None,
        print_blob=True,
    )
