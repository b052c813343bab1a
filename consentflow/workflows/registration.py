"""The durable course of one registration: time and order, nothing else.

What to do and when is told by the course (at the start, by a signal, or as an activity's answer); whether it is still
right is for the activity to see, which reads the record at that moment. Neither holds personal data.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.registrations import RegistrationActivities
    from consentflow.domain.registrations import Course, Step
    from consentflow.workflows import options


@dataclass(frozen=True, slots=True)
class RegistrationOrder:
    """What the workflow starts with. Sleeping registrations were started with it: only ever add to it."""

    registration_id: str
    course: Course


@workflow.defn(name="registration")
class RegistrationWorkflow:
    """Follows a registration's course to its end.

    Right however it is woken: by its start delay, by a signal that came before the start, or by a newer course while
    it waits.
    """

    @workflow.init
    def __init__(self, order: RegistrationOrder) -> None:
        self._course = order.course

    @workflow.signal
    def steer(self, course: Course) -> None:
        """Sets a newer course; signals may arrive late and out of order."""
        if course.revision > self._course.revision:
            self._course = course

    @workflow.run
    async def run(self, order: RegistrationOrder) -> None:
        """Takes step after step, each at its time, until the course says it is over."""
        while self._course.step is not Step.END:
            if await self._time_comes():
                self.steer(await _take(self._course.step, order.registration_id))

    async def _time_comes(self) -> bool:
        """Waits what is left until the step's time; False as soon as there is a newer course."""
        course = self._course
        left = course.at - workflow.now() if course.at else timedelta()
        if left <= timedelta():
            return True
        try:
            await workflow.wait_condition(
                lambda: self._course is not course, timeout=left, timeout_summary=f"until {course.step.value}"
            )
        except TimeoutError:
            return True
        return False


_MAILS = {
    Step.SEND_DOUBLE_OPT_IN: (RegistrationActivities.send_double_opt_in, options.DOUBLE_OPT_IN_PRIORITY),
    Step.SEND_NOTICE: (RegistrationActivities.send_notice, options.NOTICE_PRIORITY),
}


async def _take(step: Step, registration_id: str) -> Course:
    if step in _MAILS:
        send, priority = _MAILS[step]
        return await workflow.execute_activity_method(
            send,
            registration_id,
            task_queue=workflow.info().task_queue + options.MAIL_QUEUE_SUFFIX,
            start_to_close_timeout=options.SENDING_TIMEOUT,
            heartbeat_timeout=options.SENDING_HEARTBEAT,
            retry_policy=options.PERSISTENT,
            priority=Priority(priority_key=priority),
        )
    return await workflow.execute_activity_method(
        RegistrationActivities.lapse,
        registration_id,
        start_to_close_timeout=options.STORAGE_TIMEOUT,
        retry_policy=options.PERSISTENT,
    )
