from dataclasses import dataclass

__all__ = ["Traffic"]

# Bytes after which the past counts half, and the share of bytes that may be sent for nothing.
MEMORY, TOLERABLE = 64 * 1_048_576, 0.2
# Fewer bytes than this do not matter.
SMALL = 1_048_576


@dataclass(slots=True)
class Traffic:
    """The bytes of jobs sent to children, and of those that were taken back after that."""

    sent: int = 0
    wasted: int = 0

    def is_wasteful(self) -> bool:
        """Return whether so much was sent for nothing that nothing should be handed out ahead."""
        if self.sent > MEMORY:
            self.sent //= 2
            self.wasted //= 2
        return self.wasted > SMALL + TOLERABLE * self.sent
