"""`BlobStore` on S3."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pushlane.aws.failures import SEND_ERRORS, error_code
from pushlane.model.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_DELETED_MAX: Final = 1_000


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

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ErasableBlobs.keys`."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (one["Key"] for one in page.get("Contents", []))

    def delete(self, keys: Sequence[str]) -> None:
        """See `ErasableBlobs.delete`. Raises `StoreUnavailable` when some were left."""
        for start in range(0, len(keys), _DELETED_MAX):
            named: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _DELETED_MAX]]
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
            if left := answer.get("Errors", []):
                raise StoreUnavailable(f"claims: {len(left)} not deleted ({left[0].get('Code')}): repeat the call")


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
