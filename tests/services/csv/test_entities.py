"""What the import takes for granted about every entity that has files."""

from typing import Any

import pytest

from services.csv.entities import CSV_ENTITIES, CsvEntity

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("entity", CSV_ENTITIES.values(), ids=CSV_ENTITIES)
def test_a_service_completes_nothing_but_the_natural_key(entity: CsvEntity) -> None:
    values: dict[str, Any] = dict.fromkeys(entity.create.model_fields, "")
    before = dict(values)
    entity.service.complete(values)
    changed = {name for name, value in values.items() if before.get(name, values) != value}
    assert changed <= {entity.key_field, f"{entity.key_field}_key"}


@pytest.mark.parametrize("entity", CSV_ENTITIES.values(), ids=CSV_ENTITIES)
def test_there_is_one_natural_key(entity: CsvEntity) -> None:
    assert len(entity.service.unique) == 1


@pytest.mark.parametrize("entity", CSV_ENTITIES.values(), ids=CSV_ENTITIES)
def test_what_the_database_gives_to_fields_left_out_is_known(entity: CsvEntity) -> None:
    given = {name for name in entity.create.model_fields if entity.table.c[name].server_default is not None}
    assert given == entity.defaults.keys()
