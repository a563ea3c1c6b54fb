"""Submit a task through EventBridge and wait for its result: `python examples/submit_a_task.py`, after `make up`."""

import boto3

from pushlane.client import AwsClients, Client, Installation

session = boto3.Session()
installation = Installation.from_cloudformation("local", session.client("cloudformation"))
client = Client(installation, AwsClients.of(session))

document = {"name": "note.md", "media_type": "text/markdown", "text": "# Hello\n\nPushlane pushes tasks to agents."}
task = {"tenant_id": "atlas", "task_type": "extract", "payload": {"document": document}}
submitted = client.submit(task, door="eventbridge")
done = client.wait([submitted.task_id], timeout_seconds=30)
print(client.result(done[submitted.task_id])["document"]["title"])
