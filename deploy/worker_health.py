"""Exit 0 when the worker in this container has lately asked Temporal for work, else 1."""  # noqa: INP001 - a script

import asyncio
import os
import socket

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from consentflow.neighbours import connect_temporal
from consentflow.settings import read_settings
from consentflow.workflows.options import MAIL_QUEUE_SUFFIX


async def polls() -> bool:
    """Whether Temporal has heard of a poller on this host, on any of our queues, in the last minutes.

    Waits for Temporal as long as it takes: whoever runs this sets the limit.
    """
    settings = read_settings().temporal
    client = await connect_temporal(settings)
    here = "@" + socket.gethostname()
    for queue, kind in (
        (settings.task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        (settings.task_queue + MAIL_QUEUE_SUFFIX, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    ):
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
        )
        if any(poller.identity.endswith(here) for poller in answer.pollers):
            return True
    return False


if __name__ == "__main__":
    # Not sys.exit: the SDK's threads may still be at work while the interpreter takes itself apart, which aborts it.
    os._exit(0 if asyncio.run(polls()) else 1)
