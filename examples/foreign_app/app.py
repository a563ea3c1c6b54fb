"""A whole Pushlane and one agent in a CDK app of one's own."""

import aws_cdk as cdk

from pushlane.cdk import AgentFunction, Dispatcher

app = cdk.App()
stack = cdk.Stack(app, "MyAgents")
dispatcher = Dispatcher(stack, "Pushlane")
AgentFunction(
    stack,
    "Greeter",
    dispatcher=dispatcher,
    agent_id="greeter",
    entry="greeter.handler",
    capabilities=["greet"],
    slots=5,
)
app.synth()
