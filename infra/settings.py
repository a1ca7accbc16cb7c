"""Settings from `lensscan.toml` and `LENSSCAN_*` variables: the only reader of the environment."""

import os
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "lensscan"


class Settings(BaseSettings):
    """Where things are and how much of the machine to use. Environment variables win over the file."""

    model_config = SettingsConfigDict(
        env_prefix="LENSSCAN_", toml_file="lensscan.toml", frozen=True, extra="forbid", populate_by_name=True
    )

    ensembles_dir: Path = Field(default_factory=lambda: _data_home() / "ensembles")
    """Folder of imported and trained ensemble packages; shipped ones are always found."""
    ensemble: str = "ou7-sim"
    """Name or folder of the ensemble that scores by default."""
    ray_address: str | None = Field(default=None, validation_alias=AliasChoices("LENSSCAN_RAY_ADDRESS", "RAY_ADDRESS"))
    """Cluster to connect to; a Ray job finds its own in `RAY_ADDRESS`. A local one is started when unset."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Scan and simulation actors."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
