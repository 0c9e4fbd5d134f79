"""Commands of a user who may not use the files of the relay: the first line says whose they are."""

from pathlib import Path

import pytest

from tests.support.foreign_files import Foreign, run_without_rights_of_root


@pytest.mark.parametrize(
    "command",
    ["serve", "status", "calls list", "check", "ledger backup copy.db", "ledger restore settings.toml"],
)
def test_the_owner_of_the_ledger_is_named(tmp_path: Path, foreign_folder: Foreign, command: str) -> None:
    (tmp_path / "settings.toml").write_text(
        f'[server]\nport = 0\n[ledger]\nurl = "sqlite:///{foreign_folder.path}/relay.db"\n'
    )
    result = run_without_rights_of_root("-m", "relay", *command.split(), cwd=tmp_path)
    output = " ".join((result.stdout + result.stderr).split())
    assert f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are the user " in output
    assert (result.returncode, "Traceback" in output) == (1, False)


def test_the_owner_of_the_embedded_crm_is_named(tmp_path: Path, foreign_folder: Foreign) -> None:
    (tmp_path / "settings.toml").write_text(
        f'[ledger]\nurl = "sqlite:///relay.db"\n'
        f'[destinations.crm]\nclient = "local"\npath = "{foreign_folder.path}/crm.db"\n'
    )
    for command in (["check"], ["setup", "crm"]):
        done = run_without_rights_of_root("-m", "relay", *command, cwd=tmp_path)
        output = " ".join((done.stdout + done.stderr).split())
        assert f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are the user " in output


def test_the_owner_of_a_backup_is_named(tmp_path: Path, foreign_folder: Foreign) -> None:
    (tmp_path / "settings.toml").write_text('[ledger]\nurl = "sqlite:///relay.db"\n')
    (tmp_path / "relay.db").touch()
    for command in ("backup", "restore"):
        result = run_without_rights_of_root(
            "-m", "relay", "ledger", command, f"{foreign_folder.path}/copy.db", cwd=tmp_path
        )
        expected = f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are the user "
        assert expected in " ".join(result.stderr.split())


@pytest.mark.parametrize("secret", [False, True])
def test_the_owner_of_settings_and_secrets_is_named(
    foreign_folder: Foreign, tmp_path: Path, secret: bool
) -> None:
    settings = foreign_folder.path / "settings.toml"
    if secret:
        (tmp_path / "settings.toml").write_text(f'[cloudtalk]\ntokens_file = "{settings}"\n')
        settings = tmp_path / "settings.toml"
    result = run_without_rights_of_root("-m", "relay", "--settings", str(settings), "status")
    output = " ".join(result.stderr.split())
    assert f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are the user " in output
    assert result.returncode == 2
