"""Where finished pages go: a bucket that takes each key once, so that publishing again changes nothing."""

from __future__ import annotations

import functools
import os
from typing import Any, Protocol

BUCKET_VARIABLE = "PUSHLANE_RESEARCH_BUCKET"


class Publisher(Protocol):
    """Takes a page under a key; the same key again is the same page."""

    def publish(self, key: str, markdown: str) -> str:
        """Returns where the page lies."""
        ...


class BucketPublisher:
    """Writes `<key>.md` into a bucket, unless it is there: S3 decides, in the same request."""

    def __init__(self, bucket: str, client: Any) -> None:
        self._bucket = bucket
        self._client = client

    def publish(self, key: str, markdown: str) -> str:
        """Write the page if nobody has; another error of the client passes, and the attempt is retried."""
        name = f"{key}.md"
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=markdown.encode(), IfNoneMatch="*")
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
        return f"s3://{self._bucket}/{name}"


@functools.cache
def publisher_from_environment() -> Publisher | None:
    """The bucket that PUSHLANE_RESEARCH_BUCKET names, or None if it is not set."""
    bucket = os.environ.get(BUCKET_VARIABLE)
    if bucket is None:
        return None
    import boto3  # on first use: without a bucket there is nothing to call

    return BucketPublisher(bucket, boto3.client("s3"))
