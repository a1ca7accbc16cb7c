"""Settings from `lensscan.toml` and `LENSSCAN_*` variables. Stores read their own `AWS_*` variables."""

import os
from difflib import get_close_matches
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Self

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from infra.engine_name import EngineName
from infra.errors import LensscanError

PRIVATE_RAY = "local"
"""Address that stands for a private Ray on this machine, whatever the size of the work."""


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "lensscan"


class SettingsError(LensscanError):
    """A setting has an invalid value; the message names the setting."""


class Settings(BaseSettings):
    """Locations, and how much of the machine to use. Environment variables override the file; empty ones do not count."""

    model_config = SettingsConfigDict(
        env_prefix="LENSSCAN_",
        env_ignore_empty=True,
        toml_file="lensscan.toml",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    ensembles_dir: Path = Field(default_factory=lambda: _data_home() / "ensembles")
    """Folder of imported and trained ensemble packages; shipped ones are always found."""
    ensemble: str = "mer3-cascade"
    """Name or folder of the ensemble that scores by default."""
    ray_address: str | None = Field(default=None, validation_alias=AliasChoices("LENSSCAN_RAY_ADDRESS", "RAY_ADDRESS"))
    """Cluster to connect to; a Ray job finds its own in `RAY_ADDRESS`. `local` starts a private one on this machine. If unset,
    small work runs without Ray, and larger work on a private one.
    """
    allow_open_cluster: bool = False
    """Use a Ray cluster even if it requires no token."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Number of processes for scans and simulations; a scan on a cluster uses the cluster's cores by default."""

    engine: EngineName = "auto"
    """Engine that runs the networks."""
    known_lenses: str | None = None
    """Table of known lenses that published candidates are matched with, as for `publish --known`; `none` for no table. If
    unset, the one of the package lenscat, if it is installed.
    """

    metrics_dir: Path | None = None
    """Folder in which a scan writes its metrics as `metrics.prom`, for the textfile collector of Prometheus' node_exporter; if
    unset, it writes none.
    """

    @property
    def asked_workers(self) -> int | None:
        """Return the number of workers that a variable or the file gives; None if none does."""
        return self.workers if "workers" in self.model_fields_set else None

    @field_validator("ensembles_dir", "metrics_dir")
    @classmethod
    def _of_user(cls, folder: Path | None) -> Path | None:
        """Replace `~` by the home folder, as a shell does for a variable but nothing does for the file."""
        try:
            return folder and folder.expanduser()
        except RuntimeError as error:
            raise ValueError("the home folder of this user is not known") from error

    @classmethod
    def read(cls) -> Self:
        """Read the settings from the environment and `lensscan.toml`.

        Raises:
            SettingsError: a value is out of range, a key is unknown, or the file is not TOML.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            if first["type"] == "extra_forbidden":
                raise SettingsError(_unknown(name, list(cls.model_fields))) from error
            raise SettingsError(f"setting {name}: {first['msg']}, got {first['input']!r}") from error
        except TOMLDecodeError as error:
            raise SettingsError(f"lensscan.toml: {error}") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _unknown(name: str, known: list[str]) -> str:
    """Say that there is no such setting, without its value, which could be a secret that was put into the file by mistake."""
    close = get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    return f"lensscan.toml: no such setting {name}{meant} Settings: {', '.join(known)}"
