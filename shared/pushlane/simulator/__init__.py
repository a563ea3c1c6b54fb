"""Runs the real `plan` and the schedulers it is compared with under a virtual clock over a trace.

Needs nothing but the base package:

    python -m pushlane.simulator --trace trace.csv --slots 22
"""

from pushlane.simulator.figures import Figures, figures_of
from pushlane.simulator.policies import DESCRIPTIONS, POLICIES, policy_named
from pushlane.simulator.report import Report, report_of
from pushlane.simulator.run import Decided, Exceeded, Policy, Ran, Run, Scheduler, Stuck, simulate
from pushlane.simulator.setting import PoolSetting, RateSetting, Setting, checked, one_pool
from pushlane.simulator.tasks import SimTask, tasks_of
from pushlane.simulator.trace import InvalidTrace, TraceTask, read_trace, slots_for_load, write_trace

__all__ = [
    "DESCRIPTIONS",
    "POLICIES",
    "Decided",
    "Exceeded",
    "Figures",
    "InvalidTrace",
    "Policy",
    "PoolSetting",
    "Ran",
    "RateSetting",
    "Report",
    "Run",
    "Scheduler",
    "Setting",
    "SimTask",
    "Stuck",
    "TraceTask",
    "checked",
    "figures_of",
    "one_pool",
    "policy_named",
    "read_trace",
    "report_of",
    "simulate",
    "slots_for_load",
    "tasks_of",
    "write_trace",
]
