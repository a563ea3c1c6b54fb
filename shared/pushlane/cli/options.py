"""Options that several verbs share. What they mean is the same everywhere."""

from enum import StrEnum
from typing import Annotated

import typer


class StageName(StrEnum):
    """Stages that can be named on the command line."""

    LOCAL = "local"
    DEV = "dev"
    PROD = "prod"


class DoorName(StrEnum):
    """Doors that can be named on the command line."""

    SQS = "sqs"
    EVENTBRIDGE = "eventbridge"
    SNS = "sns"
    KINESIS = "kinesis"


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Stage = Annotated[
    StageName, typer.Option(help="Which installation: the one that `pushlane up` started, or one on AWS.")
]
Profile = Annotated[str | None, typer.Option(help="Profile of your AWS configuration, for a stage on AWS.")]
Endpoint = Annotated[
    str | None,
    typer.Option(envvar="AWS_ENDPOINT_URL", help="Talk to this endpoint instead, as http://127.0.0.1:4566."),
]
Api = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="Over HTTP instead, at this address; the key is in PUSHLANE_API_KEY."),
]
