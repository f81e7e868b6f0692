"""A mesh's folder, which the workers of the machine share."""

from pathlib import Path

import pytest
from devteam_cli.data_folder import data_folder

from devteam.mesh.errors import FailedPrecondition


def test_what_workers_keep_there_stays_whatever_the_mesh_forgets(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "worker.yaml").write_text("worker: {}\n")
    (tmp_path / ".worker.yaml.lock").touch()
    (tmp_path / "worker.env").touch()
    (tmp_path / "membership.json").touch()
    (tmp_path / "authorities").mkdir()
    (tmp_path / "certs").mkdir()
    kept = {path.name for path in tmp_path.iterdir()}
    with data_folder(tmp_path, fresh=False):
        (tmp_path / "planner.db").write_text("")
        (tmp_path / "keys").mkdir()
    with data_folder(tmp_path, fresh=True):
        assert {path.name for path in tmp_path.iterdir()} == {"devteam.lock", *kept}


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FailedPrecondition, match="not of a mesh"), data_folder(tmp_path, fresh=True):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(FailedPrecondition, match="cannot be made: not a directory; choose another with --data")
    with refused, data_folder(tmp_path / "file" / "data", fresh=False):
        pass
