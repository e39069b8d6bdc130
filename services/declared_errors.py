"""Declared errors: what each service may raise, for the OpenAPI document of its operations.

`refuses` on a function names what it, or what it calls, may raise. What follows from the tables, from the references of
an entity, and from how every row is changed is not declared: `creation`, `change` and `deletion` add it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from services.errors import AlreadyExists, Conflict, HasChanged, NotFound, PreconditionFailed, ShopError
from services.integrity import has_unique_fields, is_held_by_others

if TYPE_CHECKING:
    from services.base import BaseService

Errors = frozenset[type[ShopError]]
F = TypeVar("F", bound=Callable[..., Any])

_NOTHING: Errors = frozenset()


def refuses(*errors: type[ShopError]) -> Callable[[F], F]:
    """Declare that the function, or what it calls, may raise these."""

    def declared(function: F) -> F:
        function.refusals = frozenset(errors)  # type: ignore[attr-defined]
        return function

    return declared


def refusals_of(*functions: Callable[..., Any]) -> Errors:
    """What these functions declare."""
    return _NOTHING.union(*(getattr(function, "refusals", _NOTHING) for function in functions))


def creation(service: "type[BaseService[Any]]") -> Errors:
    """What can be refused of a new row."""
    return _of_values(service) | refusals_of(service.create, service.before_create)


def change(service: "type[BaseService[Any]]", *, by_the_thousand: bool = False) -> Errors:
    """What can be refused of a change of one row, or of many at once."""
    hooks = refusals_of(service.update, service.before_update, service.after_update)
    return _of_stored_row(by_the_thousand) | _of_values(service) | {HasChanged} | hooks


def deletion(service: "type[BaseService[Any]]", *, by_the_thousand: bool = False) -> Errors:
    """What can be refused of the deletion of one row, or of many at once."""
    hooks = refusals_of(service.delete, service.before_delete, service.after_delete)
    errors = _of_stored_row(by_the_thousand) | hooks
    if is_held_by_others(service.thing):
        errors |= {Conflict}
    return errors | {HasChanged} if by_the_thousand else errors


def _of_stored_row(by_the_thousand: bool) -> Errors:
    # Of many rows, each has its version in the body.
    return frozenset({NotFound}) if by_the_thousand else frozenset({NotFound, PreconditionFailed})


def _of_values(service: "type[BaseService[Any]]") -> Errors:
    of_references = {NotFound} if service.references else set()
    of_unique_fields = {AlreadyExists} if has_unique_fields(service.thing) else set()
    return frozenset(of_references | of_unique_fields)
