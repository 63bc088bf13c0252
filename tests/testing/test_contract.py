"""The contract finds what is broken, each by the test that speaks of it, and lets honest pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest

from .broken_mills import MUST_FAIL
from .more_broken_mills import FOUND_BY

ROOT = Path(__file__).parents[2]
HONEST = ("TestHonest", "TestHonestAndRepeatable", "TestHonestFile")

Failures = dict[str, dict[str, str]]
"""By class, the tests that failed, each with what it says."""

# Each of these runs hundreds of tests in a process of its own: one test, so that it is one process.
pytestmark = pytest.mark.timeout(600)


def failures(module: str, folder: Path) -> Failures:
    """What fails where the destinations of a module go through the contract."""
    report, settings = folder / "report.xml", folder / "pytest.ini"
    settings.write_text("[pytest]\nfilterwarnings = error\n")
    words = ["-q", "-c", str(settings), f"--rootdir={ROOT}", f"--junitxml={report}"]
    words += ["-p", "no:cacheprovider", "-p", "tests.testing.broken_mills"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"tests/testing/{module}.py"],
        cwd=ROOT,
        # Other plugins of pytest take seconds to import.
        env={**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    found: Failures = defaultdict(dict)
    for case in ElementTree.parse(report).iter("testcase"):
        owner = case.attrib["classname"].rpartition(".")[2]
        for failure in (*case.iter("failure"), *case.iter("error")):
            name = case.attrib["name"].partition("[")[0]
            found[owner][name] = f"{failure.attrib['message']}\n{failure.text}"
    return dict(found)


def test_what_is_broken_fails_for_its_own_reason_and_what_is_honest_does_not(
    tmp_path: Path,
) -> None:
    found = failures("broken_mills", tmp_path)
    assert {name: list(tests) for name, tests in found.items()} == {
        broken: [test] for broken, test in MUST_FAIL.items()
    }
    assert not found.keys() & set(HONEST)
    for said in (said for tests in found.values() for said in tests.values()):
        assert re.search(r"^Asked for: .+", said, re.MULTILINE), said
        assert re.search(r"^The contract: \w+\(.*\) in docs/hooks\.md", said, re.MULTILINE), said
        assert "Traceback" not in said or "It came from:" in said


def test_what_a_test_says_is_what_is_wrong(tmp_path: Path) -> None:
    found = failures("more_broken_mills", tmp_path)
    words = {
        name: " ".join(tests.get(FOUND_BY[name][0], "").split()) for name, tests in found.items()
    }
    assert found.keys() == FOUND_BY.keys()
    assert {name: said for name, said in words.items() if FOUND_BY[name][1] not in said} == {}
