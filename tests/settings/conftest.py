from pathlib import Path

import pytest

from relay.settings import Settings, SettingsError, load, plugins
from tests.support.notebook import LoadError, LoadText, notebook_entries


@pytest.fixture
def installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", notebook_entries().select)


@pytest.fixture
def load_text(tmp_path: Path, installed_plugins: None) -> LoadText:  # noqa: ARG001 - used for its effect
    def load_text(toml: str = "", /, **env: str) -> Settings:
        file = tmp_path / "settings.toml"
        file.write_text(toml, "utf-8")
        return load(file, env)

    return load_text


@pytest.fixture
def load_error(load_text: LoadText, tmp_path: Path) -> LoadError:
    def load_error(toml: str = "", /, **env: str) -> str:
        with pytest.raises(SettingsError) as caught:
            load_text(toml, **env)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return load_error
