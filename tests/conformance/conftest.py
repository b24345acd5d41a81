"""Prints, after the run, how many conformance cases of each topic passed."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed, total = Counter[str](), Counter[str]()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "conformance-topic" and report.when == "call":
                    total[value] += 1
                    passed[value] += outcome == "passed"
    if total:
        terminalreporter.write_sep("=", "mapping conformance by topic")
        for topic in sorted(total):
            terminalreporter.write_line(f"{topic:24} {passed[topic]:4} of {total[topic]}")
        terminalreporter.write_line(f"{'all':24} {passed.total():4} of {total.total()}")
