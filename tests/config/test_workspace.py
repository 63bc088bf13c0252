from __future__ import annotations

from pathlib import Path

import pytest

from exportkit.config.workspace import Roles, open_workspace
from exportkit.errors import Complaint, ConfigError, Location

JOB = "version: 1\nname: {}\nsource: customers\nsegments: [vip]\nmap: {{a: b}}\n"


def error_of(call, *arguments) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return caught.value


def told(complaints: tuple[Complaint, ...]) -> list[str]:
    return [str(complaint) for complaint in complaints]


def test_found_by_walking_up(folder: Path, monkeypatch) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    workspace = open_workspace()
    assert workspace.root == folder
    assert workspace.state == ".exportkit"
    assert workspace.outputs == ()
    assert workspace.retention is None
    assert workspace.roles == Roles(admin=("jane",), contributor=("marketing", "%data"))


def test_found_from_a_given_folder(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir("/")
    assert open_workspace(folder / "jobs").root == folder
    monkeypatch.chdir(folder.parent)
    assert open_workspace(Path("space/jobs")).root == folder


def test_no_roles_is_not_empty_roles(folder: Path) -> None:
    (folder / "exportkit.yaml").write_text("version: 1\n")
    assert open_workspace().roles is None
    (folder / "exportkit.yaml").write_text("version: 1\nroles: {}\n")
    assert open_workspace().roles == Roles()


def test_outputs_are_absolute(folder: Path) -> None:
    (folder / "exportkit.yaml").write_text("version: 1\noutputs: [/srv/out, ../beside, in]\n")
    assert open_workspace().outputs == (
        Path("/srv/out").resolve(),
        folder.parent / "beside",
        folder / "in",
    )


def test_none_anywhere(tmp_path: Path) -> None:
    error = error_of(open_workspace, tmp_path)
    assert error.message == f"there is no exportkit.yaml in {tmp_path} or any folder above it"
    assert error.hint is not None
    assert "exportkit init" in error.hint


def test_misnamed(tmp_path: Path) -> None:
    (tmp_path / "exportkit.yml").write_text("version: 1\n")
    assert error_of(open_workspace, tmp_path).hint == "rename exportkit.yml to exportkit.yaml"


def test_folder_that_is_none(folder: Path) -> None:
    assert error_of(open_workspace, folder / "exportkit.yaml").message.startswith(
        "there is no folder"
    )


def test_current_folder_gone(folder: Path, tmp_path: Path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert error_of(open_workspace).message == "the current folder is gone"
    assert open_workspace(folder).job("vip-newsletter").name == "vip-newsletter"


def test_broken_workspace_file(folder: Path) -> None:
    (folder / "exportkit.yaml").write_text("version: 1\nrolls: {}\n")
    assert str(error_of(open_workspace)) == (
        "exportkit.yaml:2:1: rolls: there is no key 'rolls' here (did you mean 'roles'?)"
    )


def test_by_name(folder: Path) -> None:
    workspace = open_workspace()
    job = workspace.job("vip-newsletter")
    assert workspace.source(job.source).key == "customer_id"
    assert workspace.connection(job.connection or "").type == "paper"
    assert workspace.warnings == ()


@pytest.mark.parametrize("given", ["jobs/vip-newsletter.yaml", "./jobs/vip-newsletter.yaml"])
def test_job_by_file(folder: Path, given: str, monkeypatch) -> None:
    assert open_workspace().job(given).name == "vip-newsletter"
    assert open_workspace().job(str(folder / given)).name == "vip-newsletter"
    monkeypatch.chdir(folder / "sources")
    assert open_workspace().job(given).name == "vip-newsletter", "else from the workspace"
    monkeypatch.chdir(folder / "jobs")
    assert open_workspace().job("vip-newsletter.yaml").name == "vip-newsletter"


def test_job_by_a_file_that_is_not_there(folder: Path) -> None:
    error = error_of(open_workspace().job, "jobs/vip.yaml")
    assert str(error) == "jobs/vip.yaml:1:1: there is no such file"


def test_files_are_found_by_what_they_call_themselves(folder: Path) -> None:
    (folder / "jobs" / "team").mkdir()
    (folder / "jobs" / "team" / "b.yml").write_text(JOB.format("daily"))
    (folder / "jobs" / "number.yaml").write_text(JOB.format("2024"))
    assert open_workspace().job("daily").document.file == "jobs/team/b.yml"
    assert open_workspace().job("2024").name == "2024"


def test_hidden_and_other_files_are_none_of_ours(folder: Path) -> None:
    (folder / "jobs" / ".#draft.yaml").write_text("[")
    (folder / "jobs" / "README.md").write_text("[")
    (folder / "jobs" / "a.yaml.bak").write_text("[")
    listing = open_workspace().jobs()
    assert [job.name for job in listing.items] == ["vip-newsletter"]
    assert listing.complaints == ()


def test_unknown_names_are_reported_where_they_were_written(folder: Path) -> None:
    workspace = open_workspace()
    at = Location("jobs/a.yaml", 3, 9, "source")
    assert str(error_of(workspace.source, "custommers", at)) == (
        "jobs/a.yaml:3:9: source: there is no source 'custommers' (did you mean 'customers'?)"
    )
    assert str(error_of(workspace.connection, "zzz", at)) == (
        "jobs/a.yaml:3:9: source: there is no connection 'zzz' (there are: marketing)"
    )
    assert str(error_of(workspace.job, "vip_newsletter")) == (
        "there is no job 'vip_newsletter' (did you mean 'vip-newsletter'?)"
    )


def test_no_files_at_all(folder: Path) -> None:
    for path in (folder / "jobs").iterdir():
        path.unlink()
    assert error_of(open_workspace().job, "x").hint == "there are no files in jobs/"
    (folder / "jobs").rmdir()
    assert error_of(open_workspace().job, "x").hint == "there are no files in jobs/"
    assert open_workspace().jobs().items == ()


def test_an_unrelated_broken_file_is_a_warning(folder: Path) -> None:
    (folder / "jobs" / "broken.yaml").write_text("a: [\n")
    workspace = open_workspace()
    assert workspace.job("vip-newsletter").name == "vip-newsletter"
    assert told(workspace.warnings) == [
        "jobs/broken.yaml:2:1: not YAML: the file ends where a value was expected"
        " (close the brackets, braces and quotes above)"
    ]


def test_a_broken_file_that_bears_the_name_is_the_error(folder: Path) -> None:
    (folder / "jobs" / "broken.yaml").write_text("a: [\n")
    assert error_of(open_workspace().job, "broken").location == Location(
        "jobs/broken.yaml", 2, 1, ""
    )


def test_an_unrelated_invalid_file_does_not_matter(folder: Path) -> None:
    (folder / "jobs" / "other.yaml").write_text("name: other\n")
    assert open_workspace().job("vip-newsletter").name == "vip-newsletter"
    assert "the key 'version' is missing" in str(error_of(open_workspace().job, "other"))


def test_two_files_of_one_name(folder: Path) -> None:
    (folder / "jobs" / "z.yaml").write_text(JOB.format("vip-newsletter"))
    (folder / "jobs" / "other.yaml").write_text(JOB.format("other"))
    message = (
        "jobs/z.yaml:2:7: name: the job 'vip-newsletter' is in jobs/vip-newsletter.yaml:2:7 as well"
        " (give one of the two another name)"
    )
    workspace = open_workspace()
    assert str(error_of(workspace.job, "vip-newsletter")) == message
    assert str(error_of(workspace.job, "jobs/z.yaml")) == message
    assert workspace.job("other").name == "other"
    listing = workspace.jobs()
    assert [job.name for job in listing.items] == ["other"]
    assert told(listing.complaints) == [message]


def test_listings_collect_what_is_wrong(folder: Path) -> None:
    (folder / "jobs" / "a.yaml").write_text("a: [\n")
    (folder / "jobs" / "b.yaml").write_text("version: 1\nname: b\n")
    (folder / "jobs" / "c.yaml").mkdir()
    (folder / "jobs" / "d.yaml").write_text(JOB.format("d") + "key: nope\n")
    (folder / "jobs" / "e.yaml").symlink_to("nowhere")
    listing = open_workspace().jobs()
    assert [job.name for job in listing.items] == ["vip-newsletter"]
    files = {one.location.file for one in listing.complaints if one.location}
    assert files == {f"jobs/{letter}.yaml" for letter in "abcde"}


def test_listings_of_the_other_kinds(folder: Path) -> None:
    workspace = open_workspace()
    assert [source.name for source in workspace.sources().items] == ["customers"]
    assert [one.name for one in workspace.connections().items] == ["marketing"]


def test_files_in_messages_are_named_from_where_one_stands(folder: Path, monkeypatch) -> None:
    (folder / "jobs" / "b.yaml").write_text("version: 1\nname: b\n")

    def shown() -> str:
        location = error_of(open_workspace(folder).job, "b").location
        assert location is not None
        return location.file

    assert shown() == "jobs/b.yaml"
    monkeypatch.chdir(folder.parent)
    assert shown() == "space/jobs/b.yaml"
    monkeypatch.chdir(folder / "sources")
    assert shown() == "jobs/b.yaml"


def test_a_file_is_read_once(folder: Path) -> None:
    workspace = open_workspace()
    workspace.job("vip-newsletter")
    (folder / "jobs" / "vip-newsletter.yaml").unlink()
    assert workspace.job("vip-newsletter").name == "vip-newsletter"


def test_repr_of_records_shows_no_option(folder: Path) -> None:
    workspace = open_workspace()
    assert "CLIENT_ID" not in repr(workspace.connection("marketing"))
