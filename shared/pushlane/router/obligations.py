"""Every kind of duty, and who carries it out."""

from collections.abc import Mapping
from typing import Final

from pushlane.router.agent_health import look_after
from pushlane.router.duties import Fulfil
from pushlane.router.telling import tell
from pushlane.router.workflow_end import cancel_rest, end_at_deadline
from pushlane.router.workflow_start import forward
from pushlane.state.changes import ENDED
from pushlane.state.health import HEARTBEAT
from pushlane.state.workflows import DEADLINE, FORWARD, REST

FULFIL: Final[Mapping[str, Fulfil]] = {
    ENDED: tell,
    FORWARD: forward,
    DEADLINE: end_at_deadline,
    REST: cancel_rest,
    HEARTBEAT: look_after,
}
