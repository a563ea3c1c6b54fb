"""Amazon Bedrock's Converse API on behalf of a task: tokens are counted, refusals become what the scheduler acts on.

Importing this needs no boto3; calling Bedrock does.
"""

from pushlane.agent.bedrock.converse import ConverseClient, bedrock_client, converse, converse_stream
from pushlane.agent.bedrock.refusals import ModelUnavailable

__all__ = ["ConverseClient", "ModelUnavailable", "bedrock_client", "converse", "converse_stream"]
