"""The domain: events, windows, attribution, metrics. No I/O, no clock, no SQL, nothing of ours imported."""
