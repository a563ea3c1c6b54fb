"""`BlobStore` on S3."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pushlane.aws.failures import SEND_ERRORS, error_code
from pushlane.model.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3BlobStore:
    """JSON objects of one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        """Store `body`, over whatever was there."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

    def get(self, key: str) -> bytes:
        """See `BlobStore.get`. A role without ListBucket is told 403, not 404: that is raised as it is."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey as error:
            raise KeyError(key) from error


class S3TurnBlobStore:
    """The same for functions that run turns: a call that S3 does not answer raises `StoreUnavailable`, as one of the
    tables does, and is made again with whatever it was made for. `client` is called at the first use, and few turns
    have one.
    """

    def __init__(self, client: "Callable[[], S3Client]", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        """See `S3BlobStore.put`."""
        try:
            S3BlobStore(self._client(), self._bucket).put(key, body)
        except SEND_ERRORS as error:
            raise StoreUnavailable(f"claims: put {key}: {error_code(error)}: {error}") from error

    def get(self, key: str) -> bytes:
        """See `BlobStore.get`. It takes the right to list the bucket to be told that there is none."""
        try:
            return S3BlobStore(self._client(), self._bucket).get(key)
        except SEND_ERRORS as error:
            raise StoreUnavailable(f"claims: get {key}: {error_code(error)}: {error}") from error
