"""A foreign app of ten lines gets a whole Pushlane in one stack."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.templates import Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

Bare = Callable[[], AbstractContextManager[None]]

AGENT = """
from collections.abc import Mapping
from typing import Any

from pushlane.model import task


def handler(event: Mapping[str, Any], _context: object) -> str:
    return task.DEFAULT_POOL
"""


@pytest.fixture(scope="module")
def foreign(context: dict[str, Any], bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    import aws_cdk as cdk

    from pushlane.cdk import AgentFunction, Dispatcher

    folder = tmp_path_factory.mktemp("foreign")
    (folder / "translator.py").write_text(AGENT)
    app = cdk.App(context={**context, "stage": "dev", "build_dir": str(folder / "build")}, outdir=str(folder / "out"))
    with bare():
        stack = cdk.Stack(app, "Foreign")
        dispatcher = Dispatcher(stack, "Pushlane")
        AgentFunction(
            stack,
            "Translator",
            dispatcher=dispatcher,
            agent_id="translator.v2",
            entry="translator",
            capabilities=["translate"],
            slots=1,
            pool="language",
            source_root=folder,
        )
        app.synth()
    return Templates.read(folder / "out")


def test_one_stack_holds_everything(foreign: Templates) -> None:
    assert foreign.stacks.keys() == {"Foreign"}
    handlers = {one.properties["Handler"] for one in foreign.resources("AWS::Lambda::Function")}
    ours = {f"lambdas.{name}.handler.handler" for name in ("router", "lifecycle", "streamer", "sweep", "registry")}
    assert {*ours, "translator.handler"} <= handlers


@pytest.mark.parametrize("handler", ["lambdas.router.handler.handler", "translator.handler"])
def test_roles_carry_the_stage_by_which_bound_doors_know_them(foreign: Templates, handler: str) -> None:
    functions = foreign.resources("AWS::Lambda::Function")
    [function] = [one for one in functions if one.properties["Handler"] == handler]
    assert {"Key": "pushlane:stage", "Value": "dev"} in foreign.role_of(function).properties["Tags"]


def test_the_agent_is_registered_in_its_pool(foreign: Templates) -> None:
    registration = foreign.only("Custom::PushlaneAgent").properties
    assert (registration["AgentId"], registration["Pool"]) == ("translator.v2", "language")
    assert registration["Slots"] == 1


def test_the_queue_of_an_agent_with_a_dot_in_its_name_is_still_covered_by_the_routers_right(foreign: Templates) -> None:
    queue = foreign.only("AWS::SQS::Queue", named="TranslatorDispatch")
    prefix, _, name = str(queue.properties["QueueName"]).partition("-agent-")
    assert name.startswith("translator-v2-")
    router = foreign.role_of(foreign.only("AWS::Lambda::Function", named="RouterFunction"))
    assert f":{prefix}-agent-*" in str(foreign.statements(router))


def test_outputs_name_the_dead_letters_of_agents_that_were_added_later(foreign: Templates) -> None:
    outputs = foreign.outputs()
    assert {"TasksTable", "IntakeQueueUrls", "IngressBusName", "DeadLetterQueues"} <= outputs.keys()
    assert "TranslatorDeadLetters" in str(outputs["DeadLetterQueues"])


def test_an_unknown_stage_is_refused_with_the_known_ones(context: dict[str, Any], bare: Bare, tmp_path: Path) -> None:
    import aws_cdk as cdk

    from pushlane.cdk import Dispatcher

    stack = cdk.Stack(cdk.App(context={**context, "stage": "production"}, outdir=str(tmp_path)), "Foreign")
    expected = "unknown stage 'production': choose one of local, dev, prod"
    with bare(), pytest.raises(ValueError, match=expected):
        Dispatcher(stack, "Pushlane")
