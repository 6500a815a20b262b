"""How much a test does: a little on every change (`npm test`), much at night (`npm run test:nightly`)."""

from __future__ import annotations

import os


def scale(gate: int, nightly: int) -> int:
    return nightly if os.environ.get("NIGHTLY") else gate
