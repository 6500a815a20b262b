"""What was sent, beside the service it was sent to: the raw rows every answer is recomputed from.

It knows how ingest names an event's columns (attribution, device); counting is left to tests/reference.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from analytics.attribution import classify
from analytics.user_agent import parse_user_agent
from analytics.window import format_instant, parse_instant
from storage.dictionary import hash63
from tests import reference
from tests.house import Service
from tests.reference import Row


class Ledger:
    """The rows of one project, and its answers compared with what they say."""

    def __init__(self, service: Service, project: Mapping[str, str]) -> None:
        self.service = service
        self.project = project
        self.rows: list[Row] = []

    def send(self, events: Sequence[Mapping[str, Any]], *, country: str = "", user_agent: str = "") -> None:
        """Stores events, each with its own `event_id`, `anonymous_id` and `timestamp`, and notes them down."""
        self.service.track(self.project["sk"], *events, user_agent=user_agent, **self.at(country))
        self.rows += [self.row(event, country, user_agent) for event in events]

    @staticmethod
    def at(country: str) -> dict[str, str]:
        """The headers that put a request in a country, one for each ring."""
        return {"x_test_country": country, "mf_cf_blob": json.dumps({"country": country})}

    def row(self, event: Mapping[str, Any], country: str, user_agent: str) -> Row:
        url, referrer = event.get("url"), event.get("referrer")
        label, device = classify(url, referrer), parse_user_agent(user_agent)
        return Row(
            project=self.project["id"],
            event_id=event["event_id"],
            event_name=event["event"],
            ts_ms=parse_instant(event["timestamp"]),
            anonymous_id=event["anonymous_id"],
            user_id=event.get("user_id"),
            source=label.source,
            medium=label.medium,
            campaign=label.campaign,
            country=country,
            device_type=device.device_type,
            browser=device.browser,
            os=device.os,
            path=event["path"] if "path" in event else None if url is None else urlsplit(url).path or "/",
            url=url,
            referrer=referrer,
            properties=event.get("properties", {}),
            tie=hash63(event["event_id"]),
        )

    def check_stats(self, from_ms: int, to_ms: int, **options: Any) -> None:
        expected = reference.stats(self.rows, from_ms=from_ms, to_ms=to_ms, **options)
        assert self._ask("get_stats", from_ms, to_ms, options) == expected

    def check_sources(self, from_ms: int, to_ms: int, **options: Any) -> None:
        expected = reference.sources(self.rows, from_ms=from_ms, to_ms=to_ms, **options)
        assert self._ask("top_sources", from_ms, to_ms, options) == expected

    def check_query(self, from_ms: int, to_ms: int, limit: int = 100, **filters: Any) -> None:
        found = reference.query(self.rows, from_ms=from_ms, to_ms=to_ms, limit=limit, filters=filters)
        rows = self._listed(from_ms, to_ms, limit, filters)
        assert [row | {"properties": json.loads(row["properties"])} for row in rows] == [
            listed(row) | {"properties": row.properties} for row in found
        ]

    def check_funnel(self, from_ms: int, to_ms: int, steps: Sequence[Any], **options: Any) -> None:
        given = {
            "window_days" if name == "conversion_window_days" else name: v for name, v in options.items()
        }
        expected = reference.funnel(self.rows, steps, from_ms=from_ms, to_ms=to_ms, **given)
        rows = self._ask("funnel", from_ms, to_ms, {"steps": steps, **options})
        assert [_without_mean(row) for row in rows] == [_without_mean(row) for row in expected]
        for row, true in zip(rows, expected, strict=True):
            mean = true["mean_seconds"]
            assert row["mean_seconds"] == (None if mean is None else pytest.approx(mean, rel=1e-9))

    def check_event_names(self, from_ms: int, to_ms: int) -> None:
        """The resource of the last 30 days; `to_ms` must lie after every event."""
        expected = reference.event_names(self.rows, from_ms=from_ms, to_ms=to_ms)
        assert self.service.read(self.project["rk"], "schema://events") == expected

    def check_recent(self) -> None:
        newest = sorted(self.rows, key=lambda row: row.key, reverse=True)[:100]
        rows = self.service.read(self.project["rk"], "events://recent")
        assert [(row["timestamp"], row["anonymous_id"], row["event_name"]) for row in rows] == [
            (format_instant(row.ts_ms), row.anonymous_id, row.event_name) for row in newest
        ]

    def _listed(
        self, from_ms: int, to_ms: int, limit: int, filters: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Up to `limit` events: a long answer is cut, and its cursor leads on."""
        asked = {"from": format_instant(from_ms), "to": format_instant(to_ms), **filters}
        rows: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while not rows or ("next_cursor" in page and len(rows) < limit):
            more = {"cursor": page["next_cursor"]} if page else {}
            result = self.service.call(
                self.project["rk"], "query_events", limit=limit - len(rows), **asked, **more
            )
            page = result["structuredContent"]
            rows += page["rows"]
            if not page["rows"]:
                break
        return rows

    def _ask(self, tool: str, from_ms: int, to_ms: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        window = {"from": format_instant(from_ms), "to": format_instant(to_ms)}
        rows: list[dict[str, Any]] = self.service.rows(self.project["rk"], tool, **window, **options)
        return rows


def listed(row: Row) -> dict[str, Any]:
    """A row as query_events shows it."""
    return {
        "timestamp": format_instant(row.ts_ms),
        **{name: getattr(row, name) for name in _QUERY_COLUMNS},
        "source_confidence": classify(row.url, row.referrer).confidence,
        "properties": json.dumps(row.properties, separators=(",", ":"), ensure_ascii=False),
    }


_QUERY_COLUMNS = [
    "event_name", "anonymous_id", "user_id", "source", "medium", "campaign",
    "referrer", "url", "path", "country", "device_type",
]  # fmt: skip


def _without_mean(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "mean_seconds"}
