"""What every program needs to know to talk to a local AWS: its address and its dummy credentials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOCAL_ACCOUNT_ID = "000000000000"
LOCAL_REGION = "us-east-1"
# Emulators accept any key; this one is what they print in their own documents, and it is nobody's secret.
DUMMY_KEY = "test"


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS."""

    endpoint_url: str
    region: str
    pid: int
    log_path: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point any SDK, and the CDK command line, at it."""
        return local_environment(self.endpoint_url, self.region)


def local_environment(endpoint_url: str, region: str = LOCAL_REGION) -> dict[str, str]:
    """The environment variables that point an SDK at this endpoint and away from the user's own accounts."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ENDPOINT_URL_S3": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
