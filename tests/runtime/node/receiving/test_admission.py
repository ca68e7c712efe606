"""Who is let in."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import DicomSettings
from brainseg_runtime.node.receiving.admission import CALLED, CALLING, STOPPING, TOO_MANY, Admission, parse_allowed


class Names:
    """A name service that can fail, and a clock."""

    def __init__(self) -> None:
        self.addresses = {"scanner.example": "10.0.0.7"}
        self.asked = 0
        self.now = 0.0

    def __call__(self, host: str) -> frozenset[str]:
        self.asked += 1
        if host not in self.addresses:
            raise OSError("no such name")
        return frozenset({self.addresses[host]})

    def clock(self) -> float:
        return self.now


def admission(*allow: str, names: Names | None = None, most: int = 2) -> Admission:
    settings = DicomSettings(aet="BRAINSEG", allow=allow, max_associations=most)
    names = names or Names()
    return Admission(settings, resolve=names, clock=names.clock)


def test_title_and_address_must_belong_together() -> None:
    door = admission("MR1@10.0.0.1", "MR2@10.0.0.2")

    assert door.enters(called="BRAINSEG", calling="MR1", address="10.0.0.1") is None
    assert door.enters(called="BRAINSEG ", calling=" MR2 ", address="10.0.0.2") is None
    assert door.enters(called="BRAINSEG", calling="MR1", address="10.0.0.2") is CALLING
    assert door.enters(called="OTHER", calling="MR1", address="10.0.0.1") is CALLED
    assert [door.knows(each) for each in ("10.0.0.1", "10.0.0.3")] == [True, False]


def test_nobody_is_let_in_without_a_list() -> None:
    assert not admission().knows("127.0.0.1")
    assert admission().enters(called="BRAINSEG", calling="MR1", address="127.0.0.1") is CALLING


@pytest.mark.parametrize(
    ("listed", "address"),
    [
        ("MR@10.0.0.1", "::ffff:10.0.0.1"),
        ("MR@[2001:DB8::1]", "2001:db8:0::1"),
        ("MR@fe80::1", "fe80::1%eth0"),
        ("A@B@10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(listed: str, address: str) -> None:
    assert admission(listed).knows(address)


def test_names_are_looked_up_again_after_a_minute_and_remembered_when_that_fails() -> None:
    names = Names()
    door = admission("MR@scanner.example", names=names)
    assert door.knows("10.0.0.7")
    assert door.knows("10.0.0.7")
    assert names.asked == 1

    names.addresses["scanner.example"], names.now = "10.0.0.8", 61
    assert [door.knows("10.0.0.8"), door.knows("10.0.0.7")] == [True, False]

    names.addresses.clear()
    names.now = 200
    assert door.knows("10.0.0.8")


def test_no_more_associations_than_asked_for() -> None:
    door = admission("MR@10.0.0.1", most=1)
    enter = {"called": "BRAINSEG", "calling": "MR", "address": "10.0.0.1"}

    assert door.enters(**enter) is None
    assert door.enters(**enter) is TOO_MANY
    door.leaves()
    assert door.enters(**enter) is None


def test_connections_are_counted_and_capped() -> None:
    door = admission(most=1)
    opened = [door.opens() for _ in range(30)]

    assert opened.count(True) == door.connections == 17
    door.closes()
    assert door.opens()


def test_nobody_is_let_in_after_the_stop() -> None:
    door = admission("MR@10.0.0.1")
    door.stop()

    assert not door.opens()
    assert door.enters(called="BRAINSEG", calling="MR", address="10.0.0.1") is STOPPING


@pytest.mark.parametrize("entry", ["", "MR", "@10.0.0.1", "MR@", "M" * 17 + "@10.0.0.1", "MR@[]"])
def test_an_entry_that_cannot_be_read_is_an_error(entry: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse_allowed([entry])
