"""Links to stored values: whoever has one may fetch that one value for a while."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def link_to(client: "S3Client", bucket: str, key: str, life_seconds: int) -> str:
    """A presigned URL; it is worth no longer than the credentials that it was made with."""
    return client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=life_seconds)
