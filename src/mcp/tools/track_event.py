"""track_event: stores one event."""

from __future__ import annotations

from analytics.event import TrackedEvent, enrich
from mcp.schema import plain_schema
from mcp.tool import Context, Hints, Output, Reading, Tool


class TrackOutput(Output):
    """`duplicate` is there, and true, when this event was already stored."""

    ok: bool
    event_id: str
    duplicate: bool = False


async def _run(tracked: TrackedEvent, context: Context) -> Reading:
    await context.admit("track")
    event = enrich(tracked, context.arrival())
    quota = context.principal.plan.events_per_month
    stored = await context.events.append(context.scope, [event], quota)
    outcome: dict[str, object] = {"ok": True, "event_id": event.event_id}
    if stored.duplicate:
        outcome["duplicate"] = True
    return Reading(outcome, outcome)


TRACK_EVENT = Tool(
    name="track_event",
    title="Track an event",
    description=(
        "Stores one event of this project. Source, medium and campaign come from url and referrer. The same event_id again "
        "stores nothing. Example: "
        '{"event":"signup","anonymous_id":"a_1","url":"https://shop.example/?utm_source=news&utm_medium=email"}.'
    ),
    input=TrackedEvent,
    output=plain_schema(TrackOutput, mode="serialization"),
    requires="ingest",
    run=_run,
    hints=Hints(read_only=False, idempotent=False),
)
