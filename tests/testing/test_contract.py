"""The contract finds what is broken, each by the test that speaks of it, and lets honest pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .broken_mills import MUST_FAIL
from .more_broken_mills import FOUND_BY

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
MILLS = ("broken_mills", "more_broken_mills")
HONEST = ("TestHonest", "TestHonestAndRepeatable", "TestHonestFile")

pytestmark = pytest.mark.timeout(600)

Failures = dict[str, dict[str, str]]
"""By class, the tests that failed, each with what it says."""


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """What fails where every broken destination goes through all of the contract."""
    report = tmp_path_factory.mktemp("contract") / "report.xml"
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={report}"]
    words += ["-p", "tests.testing.broken_mills"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *(f"tests/testing/{each}.py" for each in MILLS)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
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
    return found


@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_destination_passes(
    failures: Mapping[str, Mapping[str, str]], honest: str
) -> None:
    assert failures.get(honest, {}) == {}


@pytest.mark.parametrize("broken", MUST_FAIL)
def test_what_is_broken_fails_for_its_own_reason(
    failures: Mapping[str, Mapping[str, str]], broken: str
) -> None:
    found = failures.get(broken, {})
    assert list(found) == [MUST_FAIL[broken]], found
    (said,) = found.values()
    assert re.search(r"^Asked for: .+", said, re.MULTILINE), said
    assert re.search(r"^The contract: \w+\(.*\) in docs/hooks\.md", said, re.MULTILINE), said
    assert "Traceback" not in said or "It came from:" in said


@pytest.mark.parametrize("broken", FOUND_BY)
def test_what_a_test_says_is_what_is_wrong(
    failures: Mapping[str, Mapping[str, str]], broken: str
) -> None:
    test, says = FOUND_BY[broken]
    found = failures.get(broken, {})
    assert list(found) == [test]
    assert says in " ".join(found[test].split()), found
