"""Encryption at rest: what is sealed opens with any of the secrets, about the same thing, and with nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.encryption import CannotDecrypt, Encryption

OLD, NEW = "old secret of the operator, long enough", "new secret of the operator, long enough"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens(text: str, context: str):
    """Whatever it is, and whatever it is about; the same text is sealed differently each time."""
    encryption = Encryption([OLD])
    sealed = encryption.seal(text, context)
    assert encryption.open(sealed, context) == text
    assert encryption.seal(text, context) != sealed


def test_a_new_secret_in_front_opens_what_the_old_one_sealed():
    """Rotation: the first secret seals, all open, and ``is_current`` tells what still needs the old one."""
    before, both, after = Encryption([OLD]), Encryption([NEW, OLD]), Encryption([NEW])
    sealed = before.seal("key", "anna")
    assert both.open(sealed, "anna") == "key"
    assert (before.is_current(sealed), both.is_current(sealed)) == (True, False)
    again = both.seal("key", "anna")
    assert after.open(again, "anna") == "key"
    assert both.is_current(again)
    with pytest.raises(CannotDecrypt):
        after.open(sealed, "anna")


def test_a_row_that_was_moved_does_not_open():
    """A sealed text is worth nothing in the row of another person."""
    encryption = Encryption([OLD])
    with pytest.raises(CannotDecrypt):
        encryption.open(encryption.seal("key", "anna"), "bert")


@pytest.mark.parametrize("sealed", ["", "AQ==", "no base64!", base64.b64encode(bytes(60)).decode(), "é"])
def test_what_was_not_sealed_does_not_open(sealed: str):
    """Nothing but ``CannotDecrypt``, whatever the row has."""
    with pytest.raises(CannotDecrypt):
        Encryption([OLD]).open(sealed, "anna")


def test_a_changed_byte_does_not_open():
    """Each byte counts: of the head, the nonce, the text and the tag."""
    encryption = Encryption([OLD])
    data = base64.b64decode(encryption.seal("key", "anna"))
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1
        with pytest.raises(CannotDecrypt):
            encryption.open(base64.b64encode(changed).decode(), "anna")
