"""Test support for applications: `run_job` runs a single handler; the pytest plugin provides the fixtures."""

from ujobs_tools.testing.alone import CPYTHON, MICROPYTHON, RunJob
from ujobs_tools.testing.machine import Machine
from ujobs_tools.testing.result import Result

__all__ = ["CPYTHON", "MICROPYTHON", "Machine", "Result", "RunJob"]
