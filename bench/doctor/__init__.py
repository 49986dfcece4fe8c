"""What will spoil a measurement on this machine, and the remedy: facts are read, then judged by values."""

from bench.doctor.examination import examine
from bench.doctor.finding import Finding, Grade, spoils
from bench.doctor.table import render

__all__ = ["Finding", "Grade", "examine", "render", "spoils"]
