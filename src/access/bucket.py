"""A token bucket: so many at once, so many a second. Whoever holds it hands in the clock."""

from __future__ import annotations


class Bucket:
    """Starts full."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = burst
        self._per_ms = per_s / 1000
        self._left = float(burst)
        self._at_ms: int | None = None

    def take(self, now_ms: int) -> bool:
        """Whether there is one left; it is taken."""
        if self._at_ms is not None:
            self._left = min(self._burst, self._left + max(0, now_ms - self._at_ms) * self._per_ms)
        self._at_ms = now_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True
