"""Health: acquisition, activation, retention, revenue, referral. Counts and ratios with their definitions; no score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics.audience import change, previous
from analytics.money import Income, PropertyKey, none_first
from analytics.reports import EventName, SpanQuestion
from analytics.scope import Project, with_project
from analytics.store import Cost, Row
from analytics.window import Window

HEALTH_DEFINITION: Final = (
    "Each row says what it is. A visitor is a distinct anonymous_id; previous is the equal period right before; change = "
    "(value - previous) / previous, null where previous is 0 or missing. Money per currency, in the events' own unit."
)


class HealthQuestion(SpanQuestion):
    """How a project does, stage by stage."""

    activation_event: EventName | None = None
    purchase_event: EventName = "purchase"
    amount: PropertyKey = "amount_cents"
    referral_event: EventName | None = None

    @property
    def periods(self) -> tuple[Window, Window, Window]:
        """The window, the one before, and the one before that: retention looks one period back."""
        now = Window(self.from_, self.to)
        return now, previous(now), previous(previous(now))


@dataclass(frozen=True, slots=True)
class People:
    """Visitors of one period of a project. Shape: `came_before` were there in the period before, `back` in both."""

    project: int
    period: int
    visitors: int = 0
    new: int = 0
    activated: int = 0
    came_before: int = 0
    back: int = 0
    payers: int = 0
    referred: int = 0
    referrers: int = 0


@dataclass(frozen=True, slots=True)
class Healthy:
    """Everything counted for `health`. Shape: an income's `bucket` is its period."""

    people: list[People]
    incomes: list[Income]
    cost: Cost


def health_rows(question: HealthQuestion, projects: Sequence[Project], found: Healthy) -> list[Row]:
    """`project_id?, stage, metric, currency, value, previous, change, definition`."""
    rows: list[Row] = []
    for project in projects:
        now, before = (_people(found, project, period) for period in (0, 1))
        mine = [*_audience(question, now, before), *_revenue(question, found, project, now, before)]
        mine += _referral(question, now, before)
        rows += [with_project(row, project, projects) for row in mine]
    return rows


def _people(found: Healthy, project: Project, period: int) -> People:
    nobody = People(project.number, period)
    return next(
        (one for one in found.people if (one.project, one.period) == (project.number, period)), nobody
    )


Pair = tuple[float | None, float | None]


def _row(stage: str, metric: str, values: Pair, definition: str, currency: str | None = None) -> Row:
    value, before = values
    return {
        "stage": stage,
        "metric": metric,
        "currency": currency,
        "value": value,
        "previous": before,
        "change": change(value, before),
        "definition": definition,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _audience(question: HealthQuestion, now: People, before: People) -> list[Row]:
    new = "visitors without any earlier event, as far as events are kept"
    rows = [
        _row("acquisition", "visitors", (now.visitors, before.visitors), "visitors with any event"),
        _row("acquisition", "new_visitors", (now.new, before.new), new),
    ]
    event = question.activation_event
    if event is None:
        unknown = "not available: name an activation_event"
        rows.append(_row("activation", "activation_rate", (None, None), unknown))
    else:
        did = f"new_visitors who did {event} in the same period"
        rates = _share(now.activated, now.new), _share(before.activated, before.new)
        rows.append(_row("activation", "activated", (now.activated, before.activated), did))
        rows.append(_row("activation", "activation_rate", rates, "activated / new_visitors"))
    came = "visitors who also came in the period before"
    rates = _share(now.back, now.came_before), _share(before.back, before.came_before)
    rows.append(_row("retention", "returning_visitors", (now.back, before.back), came))
    rows.append(
        _row("retention", "retention_rate", rates, "returning_visitors / visitors of the period before")
    )
    return rows


def _revenue(
    question: HealthQuestion, found: Healthy, project: Project, now: People, before: People
) -> list[Row]:
    rates = _share(now.payers, now.visitors), _share(before.payers, before.visitors)
    bought = f"visitors who did {question.purchase_event}"
    rows = [
        _row("revenue", "payers", (now.payers, before.payers), bought),
        _row("revenue", "payer_rate", rates, "payers / visitors"),
    ]
    incomes = {(one.currency, one.bucket): one for one in found.incomes if one.project == project.number}
    total = f"sum of {question.amount} over {question.purchase_event}"
    for currency in sorted({currency for currency, _ in incomes}, key=none_first):
        nothing = Income(project.number, currency, None, 0, 0, 0)
        one, other = (incomes.get((currency, period), nothing) for period in (0, 1))
        orders = _share(one.gross, one.orders), _share(other.gross, other.orders)
        rows.append(_row("revenue", "gross", (one.gross, other.gross), total, currency))
        rows.append(_row("revenue", "average_order", orders, "gross / events with an amount", currency))
    return rows


def _referral(question: HealthQuestion, now: People, before: People) -> list[Row]:
    rates = _share(now.referred, now.visitors), _share(before.referred, before.visitors)
    came = "visitors with an event of medium referral"
    rows = [
        _row("referral", "referred_visitors", (now.referred, before.referred), came),
        _row("referral", "referred_share", rates, "referred_visitors / visitors"),
    ]
    event = question.referral_event
    if event is None:
        unknown = "not available: name a referral_event"
        rows.append(_row("referral", "referrer_rate", (None, None), unknown))
    else:
        rates = _share(now.referrers, now.visitors), _share(before.referrers, before.visitors)
        did = f"visitors who did {event}"
        rows.append(_row("referral", "referrers", (now.referrers, before.referrers), did))
        rows.append(_row("referral", "referrer_rate", rates, "referrers / visitors"))
    return rows
