"""Every operation x every kind of caller, from the one table in `matrix.py`; and no id crosses tenants."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final

import msgspec
import pytest

from pushlane.api import access
from pushlane.api.operations import Operation
from pushlane.api.routing import names_of
from pushlane.model.principal import Role
from pushlane.ports import Item, Table
from pushlane.testing.api import Answer
from tests.edge.callers import ATLAS, BY_ID, MALFORMED_ID, NOBODYS, ROLES, Call, Place, World, call_of, delivery
from tests.edge.matrix import MATRIX, Column, Row, Subject
from tests.edge.report import report

UNKNOWN_KEY: Final = "pl_nobodyhasit_" + "0" * 64
MALFORMED_KEYS: Final = ("pl_x", "not.a.jwt", "ü", "pl_testkey00001_" + "g" * 64)
DELIVERY: Final = "deliverHook"

Found = tuple[Column, str]


class Tried(msgspec.Struct):
    """One operation under test, in a world of its own."""

    operation: Operation
    row: Row
    world: World
    place: Place

    def deviations(self) -> Iterator[Found]:
        """What differs from the table. Refusals first: none may have changed anything when the owner comes."""
        before = contents(self.world)
        for column in reversed(Column):
            if column is Column.OWN:
                continue
            yield from ((column, said) for said in self._column(column))
            refused = self.row.expected[column] >= HTTPStatus.BAD_REQUEST
            if refused and (changed := changes(before, contents(self.world))):
                yield column, f"a refused call has changed {changed}"
            before = contents(self.world)
        yield from ((Column.OWN, said) for said in self._column(Column.OWN))

    def _column(self, column: Column) -> Iterator[str]:
        wanted = self.row.expected[column]
        for call, expected in self._calls(column, wanted):
            answer = self.world.send(call)
            if answer.status != expected:
                yield f"{call.method} {call.path}: {answer.status} {answer.code} instead of {expected}"
            if column is Column.OTHER and ATLAS in answer.text.replace("/v1/tenants/", ""):
                yield f"{call.method} {call.path}: another tenant is told of {ATLAS}"
            if column is Column.OTHER and expected == 404:
                yield from self._as_unknown(call, answer)

    def _calls(self, column: Column, wanted: int) -> Iterator[tuple[Call, int]]:
        """The calls of a cell, and what each is answered."""
        if self.operation.operation_id == DELIVERY:
            yield from self._deliveries(column, wanted)
            return
        plain = call_of(self.operation, self.row, self.place)
        good = self.world.key(self.row.role, column, installation=self.row.installation)
        match column:
            case Column.NO_CREDENTIAL:
                yield plain, wanted
                if not self.operation.public:
                    yield msgspec.structs.replace(plain, query={**plain.query, "tenant": ATLAS}), wanted
            case Column.WRONG_ROLE:
                others = [role for role in ROLES if role not in self.operation.roles] or [Role.PRODUCER]
                for role in others:
                    yield self._with(plain, self.world.key(role, column)), wanted
            case Column.UNKNOWN | Column.MALFORMED:
                public = self.operation.public
                keys = MALFORMED_KEYS if column is Column.MALFORMED else (UNKNOWN_KEY,)
                for key in keys:
                    yield self._with(plain, key), 200 if public else 401
                if names_of(self.operation.path):
                    yield self._with(self._elsewhere(column), good), wanted
            case Column.OTHER if self.row.subject in (Subject.AGENT, Subject.PULLER):
                yield self._with(plain, self.world.api.new_key(Role.AGENT, pool="other")), wanted
            case Column.OTHER if self.row.subject in (Subject.DISPATCHED, Subject.STARTED):
                for bounds in ({"tenant_id": "birch", "pool": "default"}, {"pool": "other"}):
                    yield self._with(plain, self.world.api.new_key(Role.AGENT, **bounds)), wanted
            case Column.OTHER if self.row.role is Role.ADMIN:
                yield self._with(plain, self.world.key(Role.OPERATOR, column)), wanted
            case _:
                yield self._with(plain, good), wanted

    def _elsewhere(self, column: Column) -> Call:
        name = names_of(self.operation.path)[0]
        other = {Column.UNKNOWN: NOBODYS, Column.MALFORMED: MALFORMED_ID}[column]
        return call_of(self.operation, self.row, self.place, changed={name: other})

    def _deliveries(self, column: Column, wanted: int) -> Iterator[tuple[Call, int]]:
        plain, world = call_of(self.operation, self.row, self.place), self.world
        secret = self.place.headers["secret"]
        match column:
            case Column.NO_CREDENTIAL:
                yield msgspec.structs.replace(plain, raw_body=b"{}"), wanted
            case Column.OTHER:
                yield delivery(world, plain, world.place(Subject.HOOK, "birch").headers["secret"]), wanted
            case Column.UNKNOWN | Column.MALFORMED:
                yield delivery(world, self._elsewhere(column), secret), wanted
            case Column.EXPIRED:
                yield delivery(world, plain, secret, age_seconds=3_600), wanted
            case Column.REVOKED:
                gone = world.place(Subject.HOOK)
                path = f"/v1/hooks/{gone.path['hook_id']}"
                assert world.api.call("DELETE", path, principal=world.api.operator(ATLAS)).status == 204
                yield delivery(world, call_of(self.operation, self.row, gone), gone.headers["secret"]), wanted
            case Column.WRONG_ROLE:
                yield self._with(delivery(world, plain, secret), world.key(Role.AGENT, column)), wanted
            case _:
                world.dispatcher.clock.advance(1_000)
                yield delivery(world, plain, secret), wanted

    def _as_unknown(self, call: Call, answer: Answer) -> Iterator[str]:
        """Another tenant's id is answered as one that nobody has: byte for byte, but for the id and the request."""
        name = names_of(self.operation.path)[0]
        unknown = call_of(self.operation, self.row, self.place, changed={name: NOBODYS})
        said = self.world.send(self._with(unknown, call.credential or ""))
        mine = masked(answer, self.place.path[name])
        if mine != masked(said, NOBODYS):
            yield f"{call.path}: {mine} is not {masked(said, NOBODYS)}"

    @staticmethod
    def _with(call: Call, credential: str) -> Call:
        return msgspec.structs.replace(call, credential=credential)


def masked(answer: Answer, named: str) -> tuple[int, str, str]:
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    text = answer.text.replace(named, "<id>").replace(answer.headers["x-request-id"], "<request>")
    return answer.status, str(sorted(headers.items())), text


def contents(world: World) -> dict[Table, list[Item]]:
    """All that is stored, but for the keys that the test itself hands out."""
    found = {table: world.dispatcher.store.items(table) for table in Table}
    found[Table.CONFIG] = [
        item for item in found[Table.CONFIG] if not item.key.pk.startswith("KEY") and not item.key.pk.startswith("HOOK")
    ]
    return found


def changes(before: Mapping[Table, list[Item]], after: Mapping[Table, list[Item]]) -> list[str]:
    return [table.value for table in Table if before[table] != after[table]]


def test_every_operation_is_in_the_table() -> None:
    assert MATRIX.keys() == BY_ID.keys()
    assert all(row.expected.keys() == set(Column) for row in MATRIX.values())


@pytest.fixture(scope="module")
def found() -> dict[str, list[Found]]:
    """The deviations of every operation."""
    said: dict[str, list[Found]] = {}
    for operation_id in sorted(MATRIX.keys() & BY_ID.keys()):
        world, row = World(), MATRIX[operation_id]
        place = world.place(row.subject)
        one = Tried(operation=BY_ID[operation_id], row=row, world=world, place=place)
        said[operation_id] = list(one.deviations())
    cells = {(operation_id, column) for operation_id, row in MATRIX.items() for column in row.expected}
    deviating = {(operation_id, column) for operation_id, them in said.items() for column, _ in them}
    report("authz", {"cells": len(cells), "deviations": len(deviating)})
    return said


@pytest.mark.parametrize("operation_id", sorted(MATRIX))
def test_no_cell_deviates(operation_id: str, found: dict[str, list[Found]]) -> None:
    assert found[operation_id] == []


def test_a_hole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the one check of whose a thing is, every operation on a task of another tenant deviates."""
    monkeypatch.setattr(access, "owned", lambda _request, tenant_id, _what: tenant_id)
    for operation_id in ("getTask", "cancelTask", "signalTask", "getWorkflow", "getDeadLetter"):
        world, row = World(), MATRIX[operation_id]
        one = Tried(operation=BY_ID[operation_id], row=row, world=world, place=world.place(row.subject))
        assert Column.OTHER in [column for column, _ in one.deviations()]


def test_the_matrix_can_fail() -> None:
    """A table that says otherwise is found out."""
    row = msgspec.structs.replace(MATRIX["getTask"], expected={**MATRIX["getTask"].expected, Column.OTHER: 200})
    world = World()
    one = Tried(operation=BY_ID["getTask"], row=row, world=world, place=world.place(Subject.TASK))
    assert [column for column, _ in one.deviations()] == [Column.OTHER]
