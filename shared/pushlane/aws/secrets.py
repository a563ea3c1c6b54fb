"""The secret that holds the signing keys, from Secrets Manager."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def signing_secret(client: "SecretsManagerClient", secret_arn: str) -> bytes:
    """The current value of the secret. Not cached here: the caller keeps it, so that a test can see a rotation."""
    found: Mapping[str, Any] = client.get_secret_value(SecretId=secret_arn)  # text or bytes, never both
    secret: bytes = found["SecretBinary"] if "SecretBinary" in found else found["SecretString"].encode()
    return secret
