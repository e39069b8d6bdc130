"""The documents are true where a program can tell: the files, folders, modules, classes and tests that they name exist."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT

pytestmark = pytest.mark.unit

# CHANGELOG.md tells of the past; its names were true then.
DOCUMENTS = [
    PROJECT_ROOT / "README.md",
    PROJECT_ROOT / "CONTRIBUTING.md",
    PROJECT_ROOT / "tests" / "README.md",
    *sorted((PROJECT_ROOT / "docs").rglob("*.md")),
]
PACKAGES = {file.parent.name for file in PROJECT_ROOT.glob("*/__init__.py")}
PROGRAMS = {file.stem for file in PROJECT_ROOT.glob("*.py")}

# Names that are no more, in the table that says where they went, and folders that a running shop and a script make; names of
# libraries and of PostgreSQL that the code does not use; and the entity that a guide invents.
ABSENT = {
    "models.enums",
    "BaseControllerImpl",
    "BaseServiceImpl",
    "BaseRepositoryImpl",
    "CLAUDE.md",
    "logs/",
    "secrets/",
}
FOREIGN = {
    "WebhookVerificationError",
    "BackgroundTasks",
    "LogRecord",
    "ModuleNotFoundError",
    "LockNotAvailable",
    "QueryCanceled",
    "DiskFull",
    "LoadCredential",
}
INVENTED = re.compile("supplier", re.IGNORECASE)

FILE = re.compile(r"[\w.-]+(/[\w.-]+)*\.(py|md|sh|toml|ini|lua|json)")
FOLDER = re.compile(r"[\w.-]+(/[\w.-]+)*/")
MODULE = re.compile(r"[a-z]\w*(\.\w+)+")
MEMBER = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*\.\w+")
CLASS = re.compile(r"([A-Z][a-z]+){2,}")
TEST = re.compile(r"test_\w+")


def names_of(document: Path) -> Iterator[tuple[str, str]]:
    """Each word in backticks or in a block of code, and the line on which it stands."""
    in_block = False
    for line in document.read_text().splitlines():
        if line.startswith("```"):
            in_block = not in_block
            continue
        for span in [line] if in_block else re.findall(r"`([^`]+)`", line):
            for word in span.split():
                name = word.strip("(),;:'\"")
                if name not in ABSENT | FOREIGN and not INVENTED.search(name):
                    yield name, line


def is_there(path: str, document: Path, line: str) -> bool:
    """Whether a path exists: from the root, beside the document, or in a folder that the line names."""
    folders = [word for word in line.replace("`", " ").split() if FOLDER.fullmatch(word)]
    places = [PROJECT_ROOT, document.parent, *(PROJECT_ROOT / folder for folder in folders)]
    return any((place / path).exists() for place in places)


@cache
def classes() -> dict[str, set[str]]:
    """What each class of the project defines or sets on `self`, by its name; nothing for types that have other names."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for file in (PROJECT_ROOT / package).rglob("*.py"):
            for node in ast.walk(syntax_tree(file)):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, set()).update(members_of(node))
                elif isinstance(node, ast.Name | ast.alias):
                    found.setdefault(node.id if isinstance(node, ast.Name) else node.name, set())
    return found


def syntax_tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text())
    except SystemError:
        # CPython 3.11 counts the depth of all threads' trees together; whoever meets another one starts again.
        return ast.parse(file.read_text())


@cache
def defined_tests() -> set[str]:
    """The names of all tests."""
    sources = [file.read_text() for file in (PROJECT_ROOT / "tests").rglob("test_*.py")]
    return {name for source in sources for name in re.findall(r"def (test_\w+)", source)}


@cache
def alerts() -> dict[str, set[str]]:
    """The names of Prometheus' alerts, which have the form of a class."""
    rules = (PROJECT_ROOT / "deploy" / "observability" / "rules" / "shop.yaml").read_text()
    return {name: set() for name in re.findall(r"- alert: (\w+)", rules)}


def members_of(defined: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(defined):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def can_be_imported(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one: `package.module.Class.method`."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = PROJECT_ROOT.joinpath(*parts[:end])
        if path.is_dir() or path.with_suffix(".py").exists():
            found = importlib.import_module(".".join(parts[:end]))
            for name in parts[end:]:
                if not hasattr(found, name):
                    return name in getattr(found, "__annotations__", {})
                found = getattr(found, name)
            return True
    return False


def exists(name: str, document: Path, line: str) -> bool:
    """Whether what a name means exists, as far as it has the form of a path, a module or a class of the project."""
    if (PROJECT_ROOT / name).exists():
        return True
    if FILE.fullmatch(name) or FOLDER.fullmatch(name):
        return is_there(name, document, line)
    first, _, rest = name.partition(".")
    if MODULE.fullmatch(name) and first in PACKAGES | PROGRAMS:
        return can_be_imported(name)
    if MEMBER.fullmatch(name):
        return rest in classes().get(first, set())
    if TEST.fullmatch(name):
        return name in defined_tests()
    if CLASS.fullmatch(name) and document.parent.name != "adr":  # decisions also tell what a class was called
        return name in classes() | alerts()
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(PROJECT_ROOT)))
def test_what_a_document_names_exists(document: Path) -> None:
    assert [name for name, line in names_of(document) if not exists(name, document, line)] == []


def test_at_least_twenty_questions_have_their_files_and_the_names_in_them() -> None:
    rows = [line.split("|") for line in (PROJECT_ROOT / "docs" / "where.md").read_text().splitlines() if "? |" in line]
    assert len(rows) >= 20
    for _, question, answer, looked_for, _ in rows:
        files, names = (re.findall(r"`([^`]+)`", cell) for cell in (answer, looked_for))
        for file, name in zip(files, names, strict=True):
            assert re.search(rf"\b{name}\b", (PROJECT_ROOT / file).read_text()), f"{question} {name} is not in {file}"


def test_an_entity_takes_as_many_lines_as_its_guide_says() -> None:
    guide = (PROJECT_ROOT / "docs" / "adding-an-entity.md").read_text()
    *files, _builder = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(files) == 5
    assert f"({sum(bool(line) for file in files for line in file.splitlines())} lines that are not blank)" in guide
