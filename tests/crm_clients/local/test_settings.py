from typing import Any

import pytest
from pydantic import ValidationError

from crm_clients.local import LocalSettings


@pytest.mark.parametrize(
    "values",
    [
        {"fields": {"notes": "Summary"}},
        {"fields": {"notes": "VERSION"}},
        {"fields": {"notes": 'a"b'}},
        {"fields": {"notes": "a\nb"}},
        {"fields": {"notes": "x" * 65}},
        {"fields": {"id": "key"}},
        {"constants": {"updated_at": "today"}},
        {"constants": {"Status": "open"}},
    ],
)
def test_an_invalid_or_duplicate_column_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LocalSettings.model_validate({"client": "local", "path": "crm.db"} | values)
