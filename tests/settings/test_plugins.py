"""CRM clients are found by their name."""

import pytest

from relay.settings import ClientLoadError, load_client_class
from tests.support.notebook import NotebookClient


@pytest.mark.usefixtures("installed_plugins")
def test_a_client_class_is_loaded_by_its_name() -> None:
    assert load_client_class("notebook") is NotebookClient
    with pytest.raises(ClientLoadError, match="did you mean notebook"):
        load_client_class("notebooks")
