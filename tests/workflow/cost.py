"""What a workflow costs: Temporal's billable actions and the events of its history."""

from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

_ONE_EACH = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
}


@dataclass(frozen=True)
class Cost:
    """The price of one run.

    Args:
        actions: Billable actions (Temporal Cloud's definition).
        events: Events in the history.
        history_bytes: Of all events as they are serialized.
    """

    actions: int
    events: int
    history_bytes: int = 0

    def is_within(self, budget: "Cost") -> bool:
        """Whether it costs neither more actions nor more events."""
        return self.actions <= budget.actions and self.events <= budget.events


NO_CONTACT = Cost(actions=1, events=5)
WAITING = Cost(actions=1, events=1)
SATISFIED = Cost(actions=2, events=6)
NOTIFIED = Cost(actions=2, events=11)
CONFIRMED = Cost(actions=4, events=17)
"""The budgets: what a registration's way may cost at the most."""


def cost_of(history: WorkflowHistory) -> Cost:
    """Counts what Temporal Cloud would bill for a run, by the page "Temporal Cloud Actions" of docs.temporal.io.

    One action each: the start, every signal, update and timer, every upsert of search attributes (those given at the
    start are free), every attempt of an activity, every child workflow's start and execution, and the markers of one
    workflow task together (local activities). A signal-with-start that started the run is one action, not two. A run
    that a schedule started costs two more. What leaves no trace in a history (queries, heartbeats, attempts of an
    activity that is still retried) is not counted.
    """
    events = list(history.events)
    actions = sum(_actions(event) for event in events)
    markers = [event for event in events if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED]
    actions += len({event.marker_recorded_event_attributes.workflow_task_completed_event_id for event in markers})
    return Cost(actions - _started_by_signal(events), len(events), sum(event.ByteSize() for event in events))


def _actions(event: HistoryEvent) -> int:
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        given = event.workflow_execution_started_event_attributes.search_attributes.indexed_fields
        return 3 if "TemporalScheduledById" in given else 1
    if event.event_type in _ONE_EACH:
        return 1
    if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
        return 2
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:  # written once, when the last attempt is over
        return event.activity_task_started_event_attributes.attempt - 1
    return 0


def _started_by_signal(events: list[HistoryEvent]) -> bool:
    """A run without a delay has its first task scheduled with its start, unless a signal came in the same call."""
    if len(events) < 2:
        return False
    start, second = events[:2]
    delay = start.workflow_execution_started_event_attributes.first_workflow_task_backoff
    return not delay.ToTimedelta() and second.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
