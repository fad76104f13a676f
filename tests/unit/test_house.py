"""The house: what the documents and the Makefile name exists, and the layout holds."""

import ast
import itertools
import re
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferwatch.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "schemas/README.md"])
COMPONENTS = ("schemas", "agents", "streams", "clickhouse")
PACKAGES = {"inferwatch", *(f"inferwatch_{name}" for name in COMPONENTS)}
# Which of our packages each may import besides itself; pyproject.toml has it for import-linter.
ALLOWED = {
    "inferwatch_schemas": set[str](),
    "inferwatch_agents": {"inferwatch_schemas"},
    "inferwatch_streams": {"inferwatch_schemas"},
    "inferwatch_clickhouse": {"inferwatch_schemas"},
    "inferwatch": PACKAGES,
}


def shell_lines(document: Path) -> Iterator[str]:
    """Yield what a document shows as commands: indented lines, and code spans."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    indented = re.sub(r"\n {8,}", " ", text)  # a command that goes on in the next line
    for line in re.findall(r"^ {4}(\S.*)$", indented, flags=re.MULTILINE):
        yield line.partition("  #")[0].strip()
    yield from re.findall(r"`([^`\n]+)`", text)


def commands(program: str) -> list[tuple[str, str]]:
    """Every command of a program that the documents show, with the document's name."""
    found = [
        (document.relative_to(ROOT).as_posix(), line.removeprefix(".venv/bin/"))
        for document in DOCUMENTS
        for line in shell_lines(document)
    ]
    return [(name, line) for name, line in found if re.match(rf"{program}( |$)", line)]


def targets() -> set[str]:
    """Names of the Makefile's targets that its help lists."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.* ## ", text, flags=re.MULTILINE))


def test_documents_show_make_targets_that_exist() -> None:
    """Each `make TARGET` of the documents is a target with a line in the help."""
    shown = {line.split()[1] for _, line in commands("make") if len(line.split()) > 1}
    assert {"demo", "test", "check", "test-kafka"} <= shown
    assert shown <= targets()


def test_the_two_commands_stand_at_the_top() -> None:
    """A newcomer meets `make demo` and `make test` before anything else to do."""
    first = itertools.islice((line for line in shell_lines(ROOT / "README.md")), 2)
    assert [line.split()[:2] for line in first] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize(("document", "line"), commands("inferwatch"))
def test_documents_show_commands_that_exist(document: str, line: str) -> None:
    """Each subcommand of `inferwatch` that the documents show exists, and has the options."""
    named = {command.name: command for command in COMMANDS}
    words = shlex.split(line)[1:]
    if not words or words[0].startswith("--"):
        return
    assert words[0] in named, f"{document}: {line}"
    command = named[words[0]].load()
    for word in words[1:]:
        if word.startswith("--"):
            options = {name for option in command.params for name in option.opts} | {"--help"}
            assert word in options, f"{document}: {line}"
        elif hasattr(command, "commands"):
            assert word in command.commands, f"{document}: {line}"
            command = command.commands[word]


def test_documents_link_to_files_that_exist() -> None:
    """Each relative link leads somewhere."""
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_documents_show_python_that_parses_and_imports() -> None:
    """Python in the documents parses, and the names it imports exist."""
    blocks = [
        block
        for document in DOCUMENTS
        for block in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    ]
    assert blocks
    for block in blocks:
        imports: list[ast.stmt] = [node for node in ast.parse(block).body if imported_by(node)]
        exec(ast.unparse(ast.Module(imports, [])), {})  # noqa: S102  # our own documents' imports


def test_decisions_are_numbered_and_short() -> None:
    """Decisions count from 1 without gaps; each has its three parts and can be read in a minute."""
    files = sorted((ROOT / "docs" / "decisions").iterdir())
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(file.name[:4])}. ")
        parts = re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequence"], file.name
        assert len(text.splitlines()) <= 12, file.name


def test_no_component_is_a_package_itself() -> None:
    """The outer folders have no `__init__.py`: `import agents` never finds ours."""
    assert [name for name in COMPONENTS if (ROOT / name / "__init__.py").exists()] == []


def test_packages_import_only_downwards() -> None:
    """Components import schemas and themselves; also where an import stands in a function."""
    folders = {name: ROOT / name.removeprefix("inferwatch_") / name for name in PACKAGES}
    folders["inferwatch"] = ROOT / "inferwatch"
    for package, folder in folders.items():
        allowed = ALLOWED[package] | {package}
        for file in folder.rglob("*.py"):
            imported = {
                name.partition(".")[0]
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                for name in imported_by(node)
            }
            assert imported & PACKAGES <= allowed, file.relative_to(ROOT)


def imported_by(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        return [node.module]
    return []


def test_modules_stay_short() -> None:
    """No module of ours has more than 400 lines."""
    files = [file for name in (*COMPONENTS, "inferwatch") for file in (ROOT / name).rglob("*.py")]
    long = {f.name: n for f in files if (n := len(f.read_text("utf-8").splitlines())) > 400}
    assert long == {}


def test_the_lock_holds_all_that_is_asked_for() -> None:
    """Every dependency is in the lock, each version has a hash, and no registry is named."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", lock, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += itertools.chain(*project["project"]["optional-dependencies"].values())
    asked += itertools.chain(*project["dependency-groups"].values())
    names = {re.split(r"[\[<>=~! ]", name)[0].lower().replace("_", "-") for name in asked}
    assert names - {"inferwatch"} <= pinned
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in lock
    assert "index-url" not in lock


def test_make_lists_its_targets() -> None:
    """`make` without a target explains each of them."""
    told = subprocess.run(
        ["make", "--no-print-directory"],  # noqa: S607  # make from the PATH, as a user runs it
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    assert {line.split()[1] for line in told.splitlines()} == targets()


def test_ci_can_be_run() -> None:
    """`.ci/run` is executable bash that stops at the first failure."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
