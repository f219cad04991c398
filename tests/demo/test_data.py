import pytest

from config.demo.data import FolderInUse, demo_folder


def test_one_demo_at_a_time_uses_a_folder(tmp_path):
    folder = tmp_path / "demo"
    with demo_folder(folder, fresh=False):
        (folder / "db.sqlite3").touch()
        with pytest.raises(FolderInUse, match="Another demo uses"), demo_folder(folder, fresh=True):
            pass

        assert (folder / "db.sqlite3").exists()


def test_the_folder_is_free_again_afterwards(tmp_path):
    folder = tmp_path / "demo"
    with demo_folder(folder, fresh=False):
        (folder / "db.sqlite3").touch()
    with demo_folder(folder, fresh=False):
        assert (folder / "db.sqlite3").exists()


def test_fresh_empties_it(tmp_path):
    folder = tmp_path / "demo"
    with demo_folder(folder, fresh=False):
        (folder / "db.sqlite3").touch()
        (folder / "more").mkdir()
    with demo_folder(folder, fresh=True):
        assert {entry.name for entry in folder.iterdir()} <= {"lock", "lock-journal"}


def test_nobody_else_may_look_into_it(tmp_path):
    with demo_folder(tmp_path / "demo", fresh=False):
        assert (tmp_path / "demo").stat().st_mode & 0o077 == 0
