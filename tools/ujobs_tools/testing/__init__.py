"""Tests of an application's handlers: `run_job` for a handler alone; the pytest plugin has the fixtures."""

from ujobs_tools.testing.alone import CPYTHON, MICROPYTHON, RunJob
from ujobs_tools.testing.machine import Machine
from ujobs_tools.testing.result import Result

__all__ = ["CPYTHON", "MICROPYTHON", "Machine", "Result", "RunJob"]
