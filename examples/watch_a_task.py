"""Submit a task over HTTP and watch what happens to it, until its result is there."""

import os

from pushlane.client.api import Client, LoggedEvent

document = {"name": "note.md", "media_type": "text/markdown", "text": "# Hello\n\nPushlane pushes tasks to agents."}

with Client(os.environ["PUSHLANE_API_URL"], os.environ["PUSHLANE_API_KEY"]) as client:
    submitted = client.submit(task_type="extract", payload={"document": document})
    for event in client.watch(submitted.task_id):
        if isinstance(event, LoggedEvent):  # else it is a snapshot: what happened lies too far back
            print(event.sequence, event.kind)
    print(client.result(submitted.task_id)["document"]["title"])
