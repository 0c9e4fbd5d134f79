from collections.abc import Iterator

import pytest

from tests.support.alert_receiver import AlertReceiver, running_alert_receiver


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with running_alert_receiver() as receiver:
        yield receiver
