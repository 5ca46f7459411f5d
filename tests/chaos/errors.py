__all__ = ["ChaosError"]


class ChaosError(Exception):
    """A run cannot be made on this machine, or its own servers have failed it."""
