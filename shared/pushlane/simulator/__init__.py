"""Runs the real `plan` under a virtual clock over a trace. Needs nothing but the base package.

python -m pushlane.simulator --trace trace.csv --slots 22
"""

from pushlane.simulator.report import Report, report_of
from pushlane.simulator.run import Run, simulate
from pushlane.simulator.trace import InvalidTrace, TraceTask, read_trace

__all__ = ["InvalidTrace", "Report", "Run", "TraceTask", "read_trace", "report_of", "simulate"]
