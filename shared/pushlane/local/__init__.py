"""The embedded AWS: start it, deploy to it, talk to it, and leave nothing behind.

`launcher` runs the emulator, `deploy` brings the CDK app to it, `sessions` gives boto3 sessions for it or for AWS.
Needs the extra `local`.
"""
