"""Errors as a person should see them: what happened, and what to do next."""

from typing import Final

from pushlane.model.errors import PushlaneError

_HINTS: Final = {
    "ExpiredToken": "your AWS credentials have expired; sign in again",
    "ExpiredTokenException": "your AWS credentials have expired; sign in again",
    "AccessDenied": "these credentials may not do this; see docs for the operator's permissions",
    "AccessDeniedException": "these credentials may not do this; see docs for the operator's permissions",
    "UnrecognizedClientException": "AWS does not know these credentials; choose others with --profile",
    "InvalidClientTokenId": "AWS does not know these credentials; choose others with --profile",
    "ResourceNotFoundException": "the installation is not what its outputs say; deploy all stacks again",
    "NoCredentialsError": "set up AWS credentials, or choose them with --profile",
    "PartialCredentialsError": "complete the AWS credentials, or choose others with --profile",
    "ProfileNotFound": "name one of your profiles with --profile (`aws configure list-profiles`)",
    "NoRegionError": "set AWS_REGION, or a region in your AWS profile",
    "EndpointConnectionError": "is it running? `pushlane up` starts a local one",
}


def explained(error: Exception) -> str | None:
    """The message for an error that a person can act on; None for one that is a fault of the program."""
    if isinstance(error, PushlaneError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; install the missing part: pip install 'pushlane[local]'"
    return _of_aws(error)


def _of_aws(error: Exception) -> str | None:
    from botocore.exceptions import BotoCoreError, ClientError

    if not isinstance(error, BotoCoreError | ClientError):
        return None
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    hint = _HINTS.get(code)
    return f"{error}; {hint}" if hint else str(error)
