"""A hook's template: which task a delivery becomes. Compiled and tried when the hook is made, run at each delivery."""

from collections.abc import Mapping
from typing import Any, Final

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from pushlane.api.bodies import TaskBody
from pushlane.api.problems import Problem, invalid
from pushlane.model.decoding import misfit
from pushlane.model.hook import EXPRESSION_CHARACTERS_MAX, HookData
from pushlane.model.ids import digest

MARK: Final = "$"
EXPRESSIONS_MAX: Final = 100
_KEY_CHARACTERS_MAX: Final = 512
_QUOTED_MAX: Final = 300
# What JMESPath takes for false, beside null and false; a zero is none of them.
_EMPTY: Final[tuple[Any, ...]] = ("", [], {})
# What a template may not say: who a delivery is, is its own affair, and nobody submits it.
_NOT_SAID: Final = frozenset({"idempotency_key", "parent"})


class HookTemplate:
    """The compiled expressions of one hook. Raises the 422 problem that names the field of what does not compile."""

    def __init__(self, data: HookData) -> None:
        self._expressions = 0
        if said := sorted(_NOT_SAID & data.template.keys()):
            raise invalid(f"$.template.{said[0]}", "a hook does not say this; `key` says what a delivery is known by")
        self._task = {name: self._compiled(value, f"$.template.{name}") for name, value in data.template.items()}
        self._when = None if data.when is None else _compiled(data.when, "$.when")
        self._key = None if data.key is None else _compiled(data.key, "$.key")

    def wants(self, document: Mapping[str, Any]) -> bool:
        """Whether the delivery becomes a task."""
        if self._when is None:
            return True
        found = self._when.of(document)
        return found is not None and found is not False and found not in _EMPTY

    def key(self, hook_id: str, delivery_id: str, document: Mapping[str, Any]) -> str:
        """The idempotency key of the delivery; raises 422 when its expression finds nothing to know it by."""
        if self._key is None:
            return "h-" + digest("delivery", hook_id, delivery_id)
        found = self._key.of(document)
        if isinstance(found, bool) or not isinstance(found, str | int | float) or found == "":
            raise invalid("$.key", "finds no text or number in this delivery to know it by")
        if len(str(found)) > _KEY_CHARACTERS_MAX:
            raise invalid("$.key", f"finds more than {_KEY_CHARACTERS_MAX} characters to know the delivery by")
        return "h-" + digest("key", hook_id, str(found))

    def task(self, document: Mapping[str, Any]) -> TaskBody:
        """The task that the delivery asks for; raises the 422 problem that names the field of the template."""
        said = {name: value for name, one in self._task.items() if (value := _filled(one, document)) is not None}
        try:
            # Through JSON: an expression can also result in what is no value of JSON.
            return msgspec.json.decode(msgspec.json.encode(said), type=TaskBody)
        except msgspec.ValidationError as error:
            found = misfit(error, said, TaskBody)
            raise invalid(found.field.replace("$", "$.template", 1), found.reason[:_QUOTED_MAX]) from error
        except TypeError as error:
            raise invalid("$.template", "an expression results in what is no JSON (as `&name` does)") from error

    def _compiled(self, value: Any, field: str) -> Any:
        """The value with every expression in it compiled."""
        if isinstance(value, list):
            return [self._compiled(one, f"{field}[{place}]") for place, one in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if MARK not in value:
            return {name: self._compiled(one, f"{field}.{name}") for name, one in value.items()}
        text = value[MARK]
        if len(value) != 1 or not isinstance(text, str) or not 0 < len(text) <= EXPRESSION_CHARACTERS_MAX:
            reason = f"`{MARK}` stands alone in its object, with an expression of at most {EXPRESSION_CHARACTERS_MAX}"
            raise invalid(field, f"{reason} characters")
        self._expressions += 1
        if self._expressions > EXPRESSIONS_MAX:
            raise invalid(field, f"a template has at most {EXPRESSIONS_MAX} expressions")
        return _compiled(text, field)


class _Compiled:
    """One expression, and the field that it stands in."""

    def __init__(self, expression: Any, field: str) -> None:
        self._expression = expression
        self._field = field

    def of(self, document: Mapping[str, Any]) -> Any:
        try:
            return self._expression.search(document)
        except (JMESPathError, RecursionError, ArithmeticError) as error:
            raise _at(self._field, "fails on this delivery", error) from error


def _compiled(text: str, field: str) -> _Compiled:
    try:
        return _Compiled(jmespath.compile(text), field)
    except (JMESPathError, RecursionError) as error:
        raise _at(field, "is no JMESPath expression", error) from error


def _filled(value: Any, document: Mapping[str, Any]) -> Any:
    """The value with what its expressions find; in objects, what finds nothing is left out."""
    if isinstance(value, _Compiled):
        return value.of(document)
    if isinstance(value, list):
        return [_filled(one, document) for one in value]
    if isinstance(value, dict):
        return {name: filled for name, one in value.items() if (filled := _filled(one, document)) is not None}
    return value


def _at(field: str, what: str, error: Exception) -> Problem:
    reason = str(error).splitlines()[0][:_QUOTED_MAX] if str(error) else type(error).__name__
    return invalid(field, f"{what}: {reason}")
