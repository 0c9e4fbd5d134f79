"""What the environment says about a model's fields: lists and tables as JSON, or key by key."""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource


class _Variables(EnvSettingsSource):
    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002 - theirs
        """Leave what is no JSON as it is, so that it is told like any other mistake."""
        try:
            return json.loads(value)
        except ValueError:
            return value


def overrides(model: type[BaseModel], prefix: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a model that variables with this prefix name, both in lower case."""
    # The source reads nothing but `model_config` and `model_fields`, which every model has.
    source = _Variables(
        cast("type[BaseSettings]", model),
        env_prefix=prefix,
        env_prefix_target="all",
        env_nested_delimiter="__",
    )
    source.env_vars = variables
    return source()
