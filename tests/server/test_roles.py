"""Of several processes one folds and delivers, and the others accept."""

from relay.server.roles import Role, assign_roles


def test_one_process_does_all() -> None:
    assert assign_roles(1) == [Role.ALL]


def test_of_several_processes_one_delivers_and_the_others_accept() -> None:
    assert assign_roles(2) == [Role.DELIVERY, Role.INGEST]
    assert assign_roles(4) == [Role.DELIVERY, Role.INGEST, Role.INGEST, Role.INGEST]
