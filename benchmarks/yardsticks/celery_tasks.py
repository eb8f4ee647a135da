"""The task that Celery's users would write: one event, one POST, tried again when it fails.

The worker's environment says where the broker is and where to POST.
"""

import os

import requests
from celery import Celery

app = Celery("celery_tasks", broker=os.environ["YARDSTICK_BROKER"])
app.conf.update(
    task_acks_late=True,  # at least once, as espf delivers
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
URL = os.environ["YARDSTICK_URL"]
CREDENTIALS = tuple(os.environ["YARDSTICK_CREDENTIALS"].split(":"))


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=30)
def post(event: dict[str, object]) -> None:
    """Deliver one event."""
    requests.post(URL, json=event, auth=CREDENTIALS, timeout=300).raise_for_status()
