"""Settings: the config file, the environment above it, arguments above both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui import settings
from tui.settings import Settings, SettingsError

CONFIG = """
profile = "work"
budget = 20.0

[profiles.work]
method = "service-principal"
tenant = "t"
client_id = "c"

[profiles.home]
cloud = "china"
"""


@pytest.fixture
def config() -> Path:
    path = settings.config_path()
    path.parent.mkdir(parents=True)
    path.write_text(CONFIG)
    return path


@pytest.mark.usefixtures("config")
def test_file_then_environment_then_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().budget == 20.0
    monkeypatch.setenv("PHIFT_BUDGET", "5")
    monkeypatch.setenv("PHIFT_PROFILE", "home")
    assert settings.load().budget == 5.0
    assert settings.load(profile=None).active_profile().cloud == "china"
    assert settings.load(profile="work").active_profile().method == "service-principal"


def test_defaults_need_no_file() -> None:
    found = settings.load()
    assert found.active_profile().method == "cli"
    assert found.sandbox_folder == found.state / "sandbox"
    assert {found.journal.parent, found.drafts.parent} == {found.state}


@pytest.mark.usefixtures("config")
def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="home, work"):
        settings.load(profile="play").active_profile()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("budget = -1", "budget"),
        ("colour = 'red'", "colour"),
        ("[profiles.x]\nmethod = 'guess'", "profiles.x.method"),
        ("profile = ", "config.toml"),
    ],
)
def test_a_wrong_setting_is_named(text: str, told: str) -> None:
    path = settings.config_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(SettingsError, match=told):
        settings.load()


def test_the_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHIFT_CLIENT_SECRET", "hunter2")
    found = settings.load()
    assert found.client_secret is not None
    assert found.client_secret.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(found)
    assert "hunter2" not in str(found.model_dump())
    assert "hunter2" not in found.model_dump_json()


def test_a_wrong_secret_variable_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHIFT_PROFILES", "hunter2")
    with pytest.raises(SettingsError) as raised:
        settings.load()
    assert "hunter2" not in str(raised.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().profile = "other"  # type: ignore[misc]  # what is shown is that it is frozen
