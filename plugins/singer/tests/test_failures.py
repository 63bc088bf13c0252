"""Targets that fail, each in its own way: what is said, what counts, and what the next run does."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from singer_stage import Stage, ended, person

if TYPE_CHECKING:
    from pathlib import Path

KEEPER = """
kept = open("kept.jsonl", "a")
for message in lines:
    if message["type"] == "RECORD":
        kept.write(json.dumps(message["record"]) + chr(10))
    if message["type"] == "STATE":
        kept.flush()
        say(message)
"""
"""A target that keeps what it gets, as it comes."""


def kept(stage: Stage) -> list[str]:
    """The ids that a target has kept, in order."""
    file = stage.root / "kept.jsonl"
    return [json.loads(line)["id"] for line in file.read_text().splitlines()]


def test_a_target_that_is_not_installed(stage: Stage) -> None:
    stage.options["target"] = "target-csvx"
    ended = stage.run()
    assert ended.code == 2
    assert "target-csvx is not installed" in ended.complaint
    assert "folders of PATH" in ended.complaint
    assert "pipx install target-csvx" in ended.complaint


def test_the_distribution_may_have_another_name(stage: Stage) -> None:
    stage.options["target"] = "target-snowflake"
    assert "pipx install meltanolabs-target-snowflake" in stage.run().complaint


def test_a_path_that_leads_nowhere(stage: Stage) -> None:
    stage.options["target"] = "./bin/target-none"
    ended = stage.run()
    assert (ended.code, "there is no Singer target at" in ended.complaint) == (2, True)


def test_a_program_that_may_not_be_started(stage: Stage) -> None:
    stage.script(KEEPER).chmod(0o644)
    ended = stage.run()
    assert (ended.code, "is not executable" in ended.complaint) == (2, True)


def test_a_script_without_its_interpreter(stage: Stage) -> None:
    stage.script(KEEPER).write_text("#!/nowhere/python\n")
    ended = stage.run()
    assert (ended.code, "cannot be started: No such file" in ended.complaint) == (2, True)
    assert stage.left_behind() == []


def test_a_target_that_fails(stage: Stage) -> None:
    stage.script("raise ValueError('Ann <ann@example.com> has no such column')")
    ended = stage.run()
    assert ended.code == 1
    assert (
        "target-scripted ended with exit code 1, so its rows do not count as delivered"
        in ended.complaint
    )
    assert "ValueError: [value] <[address]> has no such column" in ended.complaint
    assert "Traceback" not in ended.complaint
    assert ended.run["counts"]["added"] == 0
    assert stage.left_behind() == []


def test_a_target_that_leaves_well_and_says_nothing(stage: Stage) -> None:
    stage.script("for line in lines: pass")
    assert "ended well, but confirmed nothing" in stage.run().complaint


def test_a_target_that_does_not_even_read(stage: Stage) -> None:
    stage.script("pass")
    stage.people(*(person(f"p{number}", name="x" * 500) for number in range(1_000)))
    assert "ended well before it had all rows, but confirmed nothing" in stage.run().complaint


def test_rubbish_on_stdout(stage: Stage) -> None:
    stage.script("for line in lines: print('loaded', line.get('record'))")
    complaint = stage.run().complaint
    assert "confirmed nothing: the 5 lines that it wrote to stdout are no states" in complaint
    assert "ann" not in complaint


def test_states_among_rubbish_count(stage: Stage) -> None:
    stage.script("print('hello')\nfor m in lines:\n    if m['type'] == 'STATE': say(m)")
    assert stage.run().counts["added"] == 3


@pytest.mark.parametrize("body", ["time.sleep(60)", "for line in lines: pass\ntime.sleep(60)"])
def test_a_target_that_hangs(stage: Stage, body: str) -> None:
    stage.script(f"open('pid', 'w').write(str(os.getpid()))\n{body}")
    stage.options["timeout"] = 1
    stage.people(*(person(f"p{number}", name="x" * 500) for number in range(1_000)))
    assert "for 1 seconds, and was ended" in stage.run().complaint
    with pytest.raises(ProcessLookupError):
        os.kill(int((stage.root / "pid").read_text()), 0)


def test_much_talk_on_stderr_blocks_nothing(stage: Stage) -> None:
    stage.script(
        "for m in lines:\n    print('x' * 9000, file=sys.stderr)\n    say(m) if 'value' in m else 0"
    )
    stage.people(*(person(f"p{number}") for number in range(300)))
    assert stage.run().counts["added"] == 300


def test_a_target_that_confirms_and_then_fails_is_believed(stage: Stage) -> None:
    stage.script(f"{KEEPER}\nsys.exit(3)")
    ended = stage.run()
    assert ended.counts["added"] == 3
    assert "confirmed all rows, and then ended with exit code 3" in ended.stderr


def test_what_was_confirmed_before_it_died_is_not_sent_again(stage: Stage) -> None:
    stage.destination["batch_rows"] = 2
    stage.people(*(person(f"p{number}") for number in range(6)))
    stage.script(
        "starts = open('starts', 'a')\nstarts.write('x')\nstarts.close()\n"
        "if os.path.getsize('starts') == 2: sys.exit(9)\n" + KEEPER
    )
    first = stage.run()
    assert "ended with exit code 9, so its rows do not count as delivered" in first.complaint
    assert first.run["counts"]["added"] == 2
    assert stage.run().counts["sent"] == 4
    assert sorted(kept(stage)) == [f"p{number}" for number in range(6)]


def one_sync(stage: Stage) -> None:
    """Five batches in one run of the target."""
    stage.destination["batch_rows"] = 2
    stage.destination["sync"] = "run"
    stage.job["mode"] = "full"
    stage.people(*(person(f"p{number}") for number in range(10)))


def test_one_sync_of_all_that_dies_tells_of_nobody(stage: Stage) -> None:
    one_sync(stage)
    stage.script("for m in lines: pass\nraise KeyError('p0')")
    ended = stage.run()
    assert ended.code == 1
    assert ended.run["counts"]["added"] == 0
    assert "ended with exit code 1, so its rows do not count" in ended.complaint
    assert "KeyError" in ended.complaint
    assert "p0" not in ended.complaint


def test_one_sync_of_all_that_is_killed_on_the_way(stage: Stage) -> None:
    one_sync(stage)
    stage.people(*(person(f"p{number}", name="x" * 99_000) for number in range(10)))
    stage.script("next(lines)\nos.kill(os.getpid(), 9)")
    assert "was killed by SIGKILL" in stage.run().complaint


def test_a_target_that_leaves_before_it_has_all(stage: Stage) -> None:
    one_sync(stage)
    stage.people(*(person(f"p{number}", name="x" * 99_000) for number in range(10)))
    stage.script("next(lines)")
    assert "ended well before it had all rows" in stage.run().complaint


@pytest.mark.parametrize("sync", ["batch", "run"])
def test_there_is_one_state_and_it_is_the_last_message(stage: Stage, sync: str) -> None:
    one_sync(stage)
    stage.destination |= {"sync": sync, "batch_rows": 10 if sync == "batch" else 4}
    stage.script(
        "found = list(lines)\njson.dump([m['type'] for m in found], open('seen.json', 'w'))\n"
        "say(found[-1])"
    )
    assert stage.run().counts["added"] == 10
    seen = json.loads((stage.root / "seen.json").read_text())
    assert seen == ["SCHEMA", *["RECORD"] * 10, "STATE"]


def test_ctrl_c_lets_the_target_finish(stage: Stage) -> None:
    """The signal goes to all processes of the terminal: exportkit alone is to hear it."""
    stage.destination["batch_rows"] = 2
    stage.script(
        "open('pid', 'w').write(str(os.getpid()))\nlines = list(lines)\ntime.sleep(1)" + KEEPER
    )
    process = stage.start("run", "people", "--json", group=0)
    pid_in(stage.root / "pid")
    os.killpg(process.pid, signal.SIGINT)
    first = ended(process)
    assert first.run["status"] == "interrupted"
    assert first.run["counts"]["added"] == 2
    assert stage.run().counts["sent"] == 1


def test_nobody_at_all_is_a_sync_as_well(stage: Stage) -> None:
    one_sync(stage)
    stage.script(
        "found = list(lines)\njson.dump([m['type'] for m in found], open('seen.json', 'w'))\n"
        "say(found[-1])"
    )
    stage.people(person("ann", id=None))
    stage.run("--allow-empty")
    assert json.loads((stage.root / "seen.json").read_text()) == ["SCHEMA", "STATE"]


def test_a_target_killed_in_the_middle(stage: Stage) -> None:
    stage.script(
        "open('pid', 'w').write(str(os.getpid()))\nlines = iter(lines)\nnext(lines)\ntime.sleep(60)"
    )
    process = stage.start("run", "people", "--json")
    os.kill(pid_in(stage.root / "pid"), signal.SIGKILL)
    first = ended(process)
    assert "was killed by SIGKILL" in first.complaint
    stage.script(KEEPER)
    assert stage.run().counts["added"] == 3


def test_an_orphan_is_waited_for(stage: Stage) -> None:
    """exportkit is killed, its target goes on: what it still writes must not come last."""
    stage.script(
        "open('pid', 'w').write(str(os.getpid()))\nfound = list(lines)\ntime.sleep(2)\n"
        "open('kept.jsonl', 'a').write(''.join(json.dumps(m['record']) + chr(10)"
        " for m in found if 'record' in m))\n"
    )
    stage.options["config"] = {"password": "${env:THE_PASSWORD}"}
    stage.environment["THE_PASSWORD"] = "hunter2-hunter2"
    process = stage.start("run", "people", "--json")
    assert pid_in(stage.root / "pid")
    time.sleep(0.2)
    process.kill()
    process.communicate()
    stage.script(KEEPER)
    stage.people(person("ann", name="New"))
    assert stage.run().counts["added"] == 1
    rows = [json.loads(line) for line in (stage.root / "kept.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows if row["id"] == "ann"] == ["Ann", "New"]
    assert stage.left_behind() == []


def pid_in(file: Path) -> int:
    """The process id that a target has written, as soon as it has."""
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def test_a_password_in_plain_text_is_refused(stage: Stage) -> None:
    stage.script(KEEPER)
    stage.options["config"] = {"host": "db", "password": "hunter2-hunter2"}
    said = stage.type("validate")
    assert said.code == 2
    assert "connections/load.yaml:" in said.stdout + said.stderr
    assert "secret in plain text" in said.stdout + said.stderr
    assert "hunter2" not in said.stdout + said.stderr


def test_a_renewed_password_is_no_other_account(stage: Stage) -> None:
    stage.script(KEEPER)
    stage.options["config"] = {"password": "${env:THE_PASSWORD}", "host": "db"}
    for password in ("hunter2-hunter2", "hunter3-hunter3"):
        stage.environment["THE_PASSWORD"] = password
        assert stage.run().code == 0
    stage.options["config"]["host"] = "elsewhere"
    assert "options.config changed" in stage.run().complaint


def test_the_configuration_is_private_and_complete(stage: Stage) -> None:
    stage.script(
        "mode = os.stat(sys.argv[2]).st_mode\n"
        "json.dump([config, mode & 0o777], open('seen.json', 'w'))\n" + KEEPER
    )
    stage.options["config"] = {"port": 5432, "deep": {"on": True, "words": ["no", "${env:WORD}"]}}
    stage.environment["WORD"] = "secret-word"
    assert stage.run().code == 0
    assert json.loads((stage.root / "seen.json").read_text()) == [
        {"port": 5432, "deep": {"on": True, "words": ["no", "secret-word"]}},
        0o600,
    ]
    assert stage.left_behind() == []


@pytest.mark.parametrize(
    ("destination", "job", "said"),
    [
        ({"stream": "people"}, {}, "which field tells one person from another"),
        ({"stream": "people", "key_properties": ["emial"]}, {}, "did you mean 'email'?"),
        ({"stream": "people", "types": {"spend": "integer"}}, {"key": "id"}, "mean 'spent'?"),
        ({"stream": "people", "types": {"id": "int"}}, {"key": "id"}, "'integer'"),
        ({"stream": "people", "types": {"name": "date"}}, {"key": "id"}, ""),
        ({"stream": "people", "sync": "run"}, {"key": "id", "mode": "upsert"}, "full"),
        ({"stream": "people"}, {"key": "id", "mode": "mirror"}, "mirror"),
        ({}, {"key": "id"}, "stream"),
    ],
)
def test_what_a_job_cannot_ask_for(
    stage: Stage, destination: dict[str, object], job: dict[str, str], said: str
) -> None:
    stage.script(KEEPER)
    stage.destination, stage.job = destination, job
    ended = stage.type("plan", "people")
    if not said:
        assert ended.code == 0, ended
        return
    assert ended.code == 2
    assert said in ended.stdout + ended.stderr
    assert "jobs/people.yaml:" in ended.stdout + ended.stderr


def test_rows_that_only_add(stage: Stage) -> None:
    stage.script("open('schema.json', 'w').write(json.dumps(next(lines)))\n" + KEEPER)
    stage.destination["key_properties"] = []
    assert stage.run().counts["added"] == 3
    schema = json.loads((stage.root / "schema.json").read_text())
    assert schema["key_properties"] == []
    assert schema["schema"]["properties"]["id"] == {"type": ["null", "string"]}


def test_a_key_of_two_fields(stage: Stage) -> None:
    stage.script("open('schema.json', 'w').write(json.dumps(next(lines)))\n" + KEEPER)
    stage.destination["key_properties"] = ["id", "name"]
    stage.job = {}
    stage.people(person("ann"), person("bob", name=None))
    counts = stage.run().counts
    assert (counts["added"], counts["rejected"]) == (1, 1)
    schema = json.loads((stage.root / "schema.json").read_text())
    assert schema["key_properties"] == ["id", "name"]
    assert schema["schema"]["properties"] == {
        "id": {"type": "string"},
        "email": {"type": ["null", "string"]},
        "name": {"type": "string"},
        "spent": {"type": ["null", "number"]},
    }
