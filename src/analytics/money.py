"""Revenue, attribution and the return on advertising: their arguments and rows. Source: metrics.md.

Amounts are numbers in the events' own unit (cents, in `amount_cents`); every sum is of one currency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, WithJsonSchema

from analytics.audience import Bucketed
from analytics.filters import Dimension
from analytics.local_time import buckets
from analytics.questions import WholeNumber
from analytics.reports import EventName, FilteredQuestion, FilteredSpanQuestion, few_enough
from analytics.scope import Project, with_project
from analytics.store import Cost, Row
from analytics.window import MS_PER_DAY, Window

AD_SPEND: Final = "$ad_spend"
MAX_LOOKBACK_DAYS: Final = 366
#: How far back subscriptions are looked for; longer than any plan keeps events.
SUBSCRIPTION_DAYS: Final = 400

REVENUE_DEFINITION: Final = (
    "gross: sum of `amount` over `event`. payers: distinct customers (user_id, else anonymous_id). arpu: gross / visitors "
    "of the window. mrr: subscriptions started and not cancelled at `to`, yearly amounts / 12. churn: share of those active "
    "at `from` that are not at `to`. not available: no event tells of subscriptions in that currency. Amounts in the "
    "events' own unit, per currency."
)
ATTRIBUTION_DEFINITION: Final = (
    "A touch is an event whose medium is not direct, up to lookback_days before the conversion, itself included. "
    "first_touch and last_touch give the conversion to one, linear an equal share to each; null = no touch (unattributed)."
)
ROI_DEFINITION: Final = (
    "revenue: conversions credited by `model`. new_customers: customers whose first purchase ever is credited. "
    "roi: (revenue - spend) / spend. cac: spend / new_customers. Amounts in the events' own "
    "unit, per currency. " + ATTRIBUTION_DEFINITION
)

Model = Literal["first_touch", "last_touch", "linear"]
MODELS: Final[tuple[Model, ...]] = ("first_touch", "last_touch", "linear")
PropertyKey = Annotated[str, Field(min_length=1, max_length=128)]


class RevenueQuestion(FilteredQuestion):
    """What was earned in a window, by currency."""

    event: EventName = "purchase"
    amount: PropertyKey = "amount_cents"
    interval: Annotated[Bucketed, AfterValidator(few_enough)] = None
    top_customers: WholeNumber = Field(5, ge=0, le=100)


class AttributionQuestion(FilteredSpanQuestion):
    """Which touches conversions are owed to. Filters apply to the conversions."""

    event: EventName = "purchase"
    by: Annotated[Dimension, WithJsonSchema({"type": "string"})] = "source"
    lookback_days: WholeNumber = Field(30, ge=1, le=MAX_LOOKBACK_DAYS)


class Spend(BaseModel):
    """What a source cost, in the unit of the amounts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str = Field(max_length=256)
    currency: str = Field(max_length=16)
    amount: StrictInt | StrictFloat = Field(ge=0)


class ChannelRoiQuestion(FilteredSpanQuestion):
    """What channels earned against what they cost."""

    event: EventName = "purchase"
    amount: PropertyKey = "amount_cents"
    by: Literal["source", "campaign"] = "source"
    model: Model = "last_touch"
    lookback_days: WholeNumber = Field(30, ge=1, le=MAX_LOOKBACK_DAYS)
    spend: Annotated[
        list[Spend] | None,
        Field(max_length=100),
        WithJsonSchema(
            {
                "type": "array",
                "items": {"type": "object"},
                "description": f"{{value,currency,amount}}; default: {AD_SPEND} events",
            }
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Income:
    """One project and currency, of the whole window or one bucket. Shape: `orders` are events with an amount."""

    project: int
    currency: str | None
    bucket: int | None
    gross: float
    orders: int
    payers: int


@dataclass(frozen=True, slots=True)
class Customer:
    """One of the customers of a currency who paid most."""

    project: int
    currency: str | None
    customer: str
    gross: float
    orders: int


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Subscriptions of one currency at both ends of the window. Shape: `mrr` a sum over those active at its end."""

    project: int
    currency: str | None
    at_start: int
    at_end: int
    lost: int
    monthly: float
    yearly: float


@dataclass(frozen=True, slots=True)
class Takings:
    """Everything counted for `revenue`."""

    incomes: list[Income]
    customers: list[Customer]
    subscriptions: list[Subscriptions]
    visitors: dict[int, int]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Credit:
    """Conversions with `touches` touches (0: none) of which a value had `times`, was first in `first`, last in `last`.

    Shape: sums over conversions; `paid_*` the same of their amounts; `new_*` of first purchases.
    """

    project: int
    value: str | None
    currency: str | None
    touches: int
    first: int
    last: int
    times: int
    paid_first: float
    paid_last: float
    paid_times: float
    new_first: int
    new_last: int
    new_times: int

    def share(self, model: Model, kind: Literal["conversions", "amount", "new"]) -> Fraction:
        """What a model gives the value; of `linear` each touch an equal part."""
        first, last, times = {
            "conversions": (self.first, self.last, self.times),
            "amount": (self.paid_first, self.paid_last, self.paid_times),
            "new": (self.new_first, self.new_last, self.new_times),
        }[kind]
        if model == "first_touch":
            return Fraction(first)
        return Fraction(last) if model == "last_touch" else Fraction(times) / max(self.touches, 1)


@dataclass(frozen=True, slots=True)
class Spent:
    """What `$ad_spend` events say one value cost."""

    project: int
    value: str | None
    currency: str | None
    amount: float


def revenue_rows(question: RevenueQuestion, projects: Sequence[Project], takings: Takings) -> list[Row]:
    """A row for each currency, highest gross first: see REVENUE_DEFINITION."""
    rows: list[Row] = []
    for project in projects:
        incomes = {
            one.currency: one
            for one in takings.incomes
            if one.project == project.number and one.bucket is None
        }
        subscribed = {one.currency: one for one in takings.subscriptions if one.project == project.number}
        empty = {
            currency: Income(project.number, currency, None, 0, 0, 0) for currency in subscribed
        } | incomes
        ranked = sorted(empty.values(), key=lambda one: (-one.gross, *none_first(one.currency)))
        visitors = takings.visitors.get(project.number, 0)
        for income in ranked:
            row: Row = with_project({}, project, projects)
            row |= {
                "currency": income.currency,
                "gross": income.gross,
                "orders": income.orders,
                "payers": income.payers,
                "average_order": income.gross / income.orders if income.orders else None,
                "arpu": income.gross / visitors if visitors else None,
                **_recurring(subscribed.get(income.currency)),
            }
            if question.top_customers:
                row["top_customers"] = [
                    {"customer": one.customer, "gross": one.gross, "orders": one.orders}
                    for one in takings.customers
                    if (one.project, one.currency) == (project.number, income.currency)
                ]
            if question.interval:
                row["series"] = _series(question, takings, income)
            rows.append(row)
    return rows


def _recurring(found: Subscriptions | None) -> Row:
    if found is None:
        return dict.fromkeys(("mrr", "subscriptions", "churn"), "not available")
    return {
        "mrr": found.monthly + found.yearly / 12,
        "subscriptions": found.at_end,
        "churn": found.lost / found.at_start if found.at_start else None,
    }


def _series(question: RevenueQuestion, takings: Takings, income: Income) -> list[Row]:
    by_bucket = {
        one.bucket: one
        for one in takings.incomes
        if (one.project, one.currency) == (income.project, income.currency)
    }
    window = Window(question.from_, question.to)
    nothing = Income(income.project, income.currency, None, 0, 0, 0)
    return [
        {"bucket": bucket.label, "gross": one.gross, "orders": one.orders}
        for bucket in buckets(question.timezone, window, question.interval or "day")
        for one in [by_bucket.get(bucket.key, nothing)]
    ]


def none_first(value: str | None) -> tuple[bool, str]:
    """A sort key in which nothing comes before the empty text."""
    return value is not None, value or ""


def attribution_rows(
    question: AttributionQuestion, projects: Sequence[Project], credits: Sequence[Credit]
) -> list[Row]:
    """`project_id?, <by>, first_touch, last_touch, linear`: conversions, highest last_touch first, then by value."""
    rows: list[Row] = []
    for project in projects:
        shares: dict[str | None, dict[Model, Fraction]] = defaultdict(
            lambda: dict.fromkeys(MODELS, Fraction(0))
        )
        for credit in credits:
            if credit.project == project.number:
                for model in MODELS:
                    shares[credit.value][model] += credit.share(model, "conversions")
        ranked = sorted(
            shares.items(),
            key=lambda item: (-item[1]["last_touch"], -item[1]["linear"], *none_first(item[0])),
        )
        for value, models in ranked:
            row: Row = {question.by: value, **{model: _number(models[model]) for model in MODELS}}
            rows.append(with_project(row, project, projects))
    return rows


def roi_rows(
    question: ChannelRoiQuestion,
    projects: Sequence[Project],
    credits: Sequence[Credit],
    spent: Sequence[Spent],
) -> list[Row]:
    """`project_id?, <by>, currency, spend, revenue, conversions, new_customers, roi, cac`, highest revenue first."""
    rows: list[Row] = []
    for project in projects:
        money: dict[tuple[str | None, str | None], dict[str, Fraction]] = defaultdict(
            lambda: dict.fromkeys(("spend", "amount", "conversions", "new"), Fraction(0))
        )
        for credit in credits:
            if credit.project == project.number:
                for kind in ("conversions", "amount", "new"):
                    share = credit.share(question.model, kind)
                    money[credit.value, credit.currency][kind] += share
        costs = [(one.value, one.currency, one.amount) for one in spent if one.project == project.number]
        if question.spend is not None:
            costs = [(one.value, one.currency, one.amount) for one in question.spend]
        for value, currency, amount in costs:
            money[value, currency]["spend"] += Fraction(amount)
        found = [_roi_row(question, value, currency, sums) for (value, currency), sums in money.items()]
        found = [row for row in found if row["spend"] or row["conversions"]]
        found.sort(
            key=lambda row: (
                -row["revenue"],
                -row["spend"],
                *none_first(row[question.by]),
                *none_first(row["currency"]),
            )
        )
        rows += [with_project(row, project, projects) for row in found]
    return rows


def _roi_row(
    question: ChannelRoiQuestion, value: str | None, currency: str | None, sums: dict[str, Fraction]
) -> Row:
    spend, revenue = sums["spend"], sums["amount"]
    return {
        question.by: value,
        "currency": currency,
        "spend": _number(spend),
        "revenue": _number(revenue),
        "conversions": _number(sums["conversions"]),
        "new_customers": _number(sums["new"]),
        "roi": float((revenue - spend) / spend) if spend else None,
        "cac": float(spend / sums["new"]) if sums["new"] and spend else None,
    }


def _number(value: Fraction) -> Any:
    return int(value) if value.denominator == 1 else float(value)


def lookback(question: AttributionQuestion | ChannelRoiQuestion) -> Window:
    """The window in which touches may lie."""
    return Window(max(question.from_ - question.lookback_days * MS_PER_DAY, 0), question.to)
