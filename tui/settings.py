"""Settings: profiles, paths, budget, theme; read from the config file and `PHIFT_*`, which wins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tui.messages import languages, t
from tui.wording import worded

APP = "phift-tui"
SignInMethod = Literal["cli", "device-code", "service-principal", "certificate", "managed-identity", "environment"]
Cloud = Literal["public", "government", "china"]


class Profile(BaseModel):
    """One way to reach Azure: who, where, which cloud."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: SignInMethod = "cli"
    """How this profile signs in."""
    cloud: Cloud = "public"
    """Azure cloud."""
    tenant: str = ""
    """Tenant id; empty: the identity's own."""
    subscription: str = ""
    """Subscription id; empty: asked."""
    client_id: str = ""
    """Application (client) id of a service principal or a user-assigned managed identity."""
    certificate: str = ""
    """Path of the service principal's PEM or PFX certificate."""


class SettingsError(ValueError):
    """The config file or a `PHIFT_*` variable is wrong; the message names the place."""


def config_path() -> Path:
    """The config file."""
    return platformdirs.user_config_path(APP) / "config.toml"


class Settings(BaseSettings):
    """All settings. Environment `PHIFT_NAME` wins over the config file's `name`."""

    model_config = SettingsConfigDict(env_prefix="PHIFT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    profile: str = "default"
    """Name of the profile in use."""
    profiles: dict[str, Profile] = {"default": Profile()}
    """The profiles by name."""
    theme: str = ""
    """Theme; empty: by the terminal."""
    language: str = ""
    """`en` or `bg`; empty: by the locale."""
    notify: Literal["", "bell", "desktop"] = ""
    """How the program calls you when the job it follows has ended: the terminal's bell, or the desktop's notification
    (OSC 9); empty: not at all."""
    keys: dict[str, str] = {}
    """Keys of your own, by the action's name, like `refresh = "ctrl+r"`; several are divided by commas."""
    budget: float | None = Field(None, gt=0)
    """Highest estimate in US dollars at which a submit is allowed, over all recipes."""
    budget_warning: float = Field(0.8, gt=0, le=1)
    """Share of the budget from which a warning is shown."""
    state: Path = platformdirs.user_state_path(APP)
    """Folder of the journal, the drafts and the logs."""
    sandbox_state: Path | None = None
    """Folder of the sandbox; unset: `sandbox` below the state folder."""
    client_secret: SecretStr | None = None
    """Secret of the service principal; never written anywhere."""
    connect_timeout: float = Field(10.0, gt=0)
    """Seconds to wait for a connection to Azure."""
    read_timeout: float = Field(60.0, gt=0)
    """Seconds to wait for a byte from Azure."""

    @field_validator("language")
    @classmethod
    def _has_texts(cls, value: str) -> str:
        if value and value not in languages():
            raise ValueError(
                t("there are no texts in {language} (known: {known})", language=value, known=", ".join(languages()))
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the config file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_path())

    @property
    def sandbox_folder(self) -> Path:
        """Folder of the default sandbox."""
        return self.sandbox_state or self.state / "sandbox"

    @property
    def drafts(self) -> Path:
        """Folder of the recipes being edited."""
        return self.state / "drafts"

    @property
    def journal(self) -> Path:
        """File of the journal."""
        return self.state / "journal.sqlite"

    def active_profile(self) -> Profile:
        """The profile in use.

        Raises:
            SettingsError: no profile has that name.
        """
        try:
            return self.profiles[self.profile]
        except KeyError:
            raise SettingsError(
                t(
                    "no profile is called {name} (known: {known}; see {file})",
                    name=self.profile,
                    known=", ".join(sorted(self.profiles)) or t("none"),
                    file=config_path(),
                )
            ) from None


def load(**overrides: object) -> Settings:
    """The settings in force, `overrides` (from the command line) before all.

    Raises:
        SettingsError: the config file or a variable is wrong; the message names the field.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            t(
                "setting {field} ({file} or {variable}): {error}",
                field=field,
                file=config_path(),
                variable=f"PHIFT_{field.upper().replace('.', '__')}",
                error=worded(first, Settings.model_fields.get(field)),
            )
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{config_path()}: {error}") from None
