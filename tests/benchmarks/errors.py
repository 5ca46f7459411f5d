__all__ = ["BenchmarkError"]


class BenchmarkError(Exception):
    """A measurement cannot be made, or has failed. The others go on."""
