"""Parts of a branch, the choice of the active branch, and the deletion of messages.

Knows nothing of transactions or database errors. Rules:

* What is read grows with the part that is shown, never with the length of the conversation.
* A deleted message stays in the tree, so that what follows it keeps its place; it is hidden from every branch.
* The active branch never ends in nothing: if its last version is deleted, another version takes its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from streamchat.chat.request import ROOT
from streamchat.errors import NotFound
from streamchat.storage import queries
from streamchat.storage.queries import MESSAGE, VISIBLE, conversation, deleted_message, message
from streamchat.storage.records import BranchPage, StoredMessage
from streamchat.storage.tables import now


def part_of_branch(
    connection: Connection,
    owner: str,
    conversation_id: str,
    limit: int,
    before: str | None,
    known: Collection[str],
) -> BranchPage:
    """Return the last ``limit`` messages of the active branch, or of those before the message ``before``.

    ``known``: messages that a reader has. They are not read again, and the part begins with the first of them if it is
    above. Answers that stand side by side are all there. Raises ``NotFound``.
    """
    row = queries.owned(connection, owner, conversation_id)
    beside = queries.compared_with(row, row.leaf_id)
    return part_up_to(connection, row, row.leaf_id, limit, before, known, beside)


def part_up_to(
    connection: Connection,
    row: Row,
    leaf_id: str | None,
    limit: int,
    before: str | None = None,
    known: Collection[str] = (),
    beside: Sequence[str] = (),
) -> BranchPage:
    """Return the part of the branch that ends in ``leaf_id``, of a conversation whose row this is. As above.

    ``beside``: the answers that stand in place of the last one, itself included.
    """
    known = frozenset(known)
    end = leaf_id if before is None else _parent(connection, row.id, before)
    rows: list[Any] = []
    while end is not None:
        found = _outline(connection, end, limit + len(known))
        rows = [one for one in found if one.visible]
        first = next((index for index, one in enumerate(rows) if one.id in known), len(rows))
        rows = rows[max(0, min(first, len(rows) - limit)) :]
        end = (rows or found)[0].parent_id
        if rows:
            break
    ids = tuple(one.id for one in rows)
    compared: tuple[str, ...] = ()
    if ids and ids[-1] in beside and len(shown := queries.visible(connection, beside)) > 1:
        ids, compared = ids[:-1] + shown, shown
    siblings: dict[str, tuple[str, ...]] = {}
    if rows:
        parents = {one.parent_id for one in rows}
        first = (message.c.parent_id.is_(None),) if None in parents else ()
        among = or_(message.c.parent_id.in_(parents - {None}), *first)
        siblings = queries.siblings_of(connection, row.id, ids, among)
    wanted = [one for one in ids if one not in known]
    messages: dict[str, Any] = {}
    if wanted:
        query = select(*MESSAGE).where(message.c.id.in_(wanted))
        messages = {one.id: one for one in queries.read(connection, connection.execute(query).all())}
    settings = queries.settings_of(row, [one.model for one in rows if one.role == "assistant"])
    read = tuple(messages[one] for one in wanted if one in messages)
    return BranchPage(row.id, row.title, settings, ids, read, siblings, end is not None, compared)


def _outline(connection: Connection, leaf_id: str, length: int) -> Sequence[Any]:
    """Return id, parent, role, model and visibility of the last ``length`` messages, oldest first."""
    path = queries.path_to(leaf_id, max(1, length))
    columns = (message.c.id, message.c.parent_id, message.c.role, message.c.model, VISIBLE.label("visible"))
    query = select(*columns).join(path, message.c.id == path.c.id).order_by(path.c.height.desc())
    return connection.execute(query).all()


def _parent(connection: Connection, conversation_id: str, message_id: object) -> str | None:
    query = select(message.c.parent_id).where(
        message.c.id == queries.known_id(message_id, "message"), message.c.conversation_id == conversation_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This message does not exist.")
    return row.parent_id


def message_of(connection: Connection, owner: str, message_id: object) -> StoredMessage:
    """Return one message that is not deleted. Raises ``NotFound``."""
    columns = (*MESSAGE, *(message.c[name] for name in ("conversation_id", "parent_id", "created_at", "updated_at")))
    query = (
        select(*columns)
        .join(conversation, conversation.c.id == message.c.conversation_id)
        .where(message.c.id == queries.known_id(message_id, "message"), conversation.c.owner == owner)
        .where(conversation.c.deleted_at.is_(None), VISIBLE)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This message does not exist.")
    (found,) = queries.read(connection, [row])
    return StoredMessage(found, row.conversation_id, row.parent_id or ROOT, row.created_at, row.updated_at)


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    parent_id: str | None
    role: str
    visible: bool


class _Tree:
    """The tree of a conversation, in the order of insertion: a parent comes before its children."""

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self.nodes = nodes
        self._by_id = {node.id: node for node in nodes}

    def __getitem__(self, message_id: str) -> _Node:
        return self._by_id[message_id]

    def below(self, message_id: str) -> list[_Node]:
        """Return the message and everything after it, in all branches."""
        ids, nodes = {message_id}, [self._by_id[message_id]]
        for node in self.nodes:
            if node.parent_id in ids:
                ids.add(node.id)
                nodes.append(node)
        return nodes

    def above(self, message_id: str | None) -> set[str]:
        """Return the ids of the branch that ends here."""
        ids: set[str] = set()
        while message_id in self._by_id:
            ids.add(message_id)
            message_id = self._by_id[message_id].parent_id
        return ids

    def end_of(self, message_id: str) -> str:
        """Return the newest visible message of the branches through this one."""
        return next((node.id for node in reversed(self.below(message_id)) if node.visible), message_id)

    def versions(self, message_id: str) -> list[_Node]:
        """Return the other visible versions of a message, oldest first."""
        own = self._by_id[message_id]
        group = (own.parent_id, own.role)
        return [n for n in self.nodes if n.visible and n.id != message_id and (n.parent_id, n.role) == group]


def _tree(connection: Connection, conversation_id: str) -> _Tree:
    columns = (message.c.id, message.c.parent_id, message.c.role, VISIBLE.label("visible"))
    query = select(*columns).where(message.c.conversation_id == conversation_id).order_by(message.c.position)
    return _Tree([_Node(*row) for row in connection.execute(query)])


def _locked(connection: Connection, owner: str, message_id: str) -> Row:
    conversation_id = queries.conversation_of(connection, owner, message_id)
    return queries.owned(connection, owner, conversation_id, lock=True)


def select_branch(connection: Connection, owner: str, message_id: str) -> str:
    """Make the newest branch through a message the active one, unless the active one has it. Returns the conversation.

    An answer that stands beside others is kept, and its model answers next. Raises ``NotFound``.
    """
    row = _locked(connection, owner, message_id)
    shown = connection.execute(select(message.c.model).where(message.c.id == message_id, VISIBLE)).one_or_none()
    if shown is None:
        raise NotFound("This message does not exist.")
    end = _end_through(connection, message_id, row.leaf_id)
    if end != row.leaf_id:
        _end_at(connection, row.id, end)
    if queries.compared_with(row, message_id):
        changes = {"compared": None, "model": shown.model}
        connection.execute(update(conversation).where(conversation.c.id == row.id), changes)
    return row.id


def _end_through(connection: Connection, message_id: str, leaf_id: str | None) -> str | None:
    """Return ``leaf_id`` if the message is above it or is it, else the newest visible message from this one on."""
    below = select(message.c.id).where(message.c.id == message_id).cte("below", recursive=True)
    child = message.alias("child")
    below = below.union_all(select(child.c.id).join(below, child.c.parent_id == below.c.id))
    is_leaf = message.c.id == leaf_id
    query = select(message.c.id).join(below, message.c.id == below.c.id).where(or_(VISIBLE, is_leaf))
    return connection.scalar(query.order_by(is_leaf.desc(), message.c.position.desc()).limit(1))


def delete_messages(connection: Connection, owner: str, message_id: str, following: bool) -> str:
    """Delete a message; with ``following`` also everything after it. Returns the conversation. Raises ``NotFound``.

    No effect if it is deleted already.
    """
    row = _locked(connection, owner, message_id)
    tree = _tree(connection, row.id)
    if not tree[message_id].visible:
        return row.id
    below = tree.below(message_id)
    gone = [node for node in (below if following else below[:1]) if node.visible]
    time = now()
    rows = [{"message_id": node.id, "conversation_id": row.id, "deleted_at": time} for node in gone]
    connection.execute(insert(deleted_message), rows)
    ends = following or not any(node.visible for node in below[1:])
    if ends and row.leaf_id in {node.id for node in below}:
        if others := tree.versions(message_id):
            _end_at(connection, row.id, tree.end_of(others[-1].id))
        elif following:
            _end_at(connection, row.id, tree[message_id].parent_id)
    return row.id


def restore_messages(connection: Connection, owner: str, message_id: str) -> str:
    """Bring back a deleted message, with what was deleted with it. Returns the conversation. Raises ``NotFound``."""
    row = _locked(connection, owner, message_id)
    time = select(deleted_message.c.deleted_at).where(deleted_message.c.message_id == message_id).scalar_subquery()
    statement = delete(deleted_message).where(
        deleted_message.c.conversation_id == row.id, deleted_message.c.deleted_at == time
    )
    if connection.execute(statement).rowcount:
        tree = _tree(connection, row.id)
        if message_id not in tree.above(row.leaf_id):
            _end_at(connection, row.id, tree.end_of(message_id))
    return row.id


def _end_at(connection: Connection, conversation_id: str, leaf_id: str | None) -> None:
    connection.execute(update(conversation).where(conversation.c.id == conversation_id), {"leaf_id": leaf_id})
