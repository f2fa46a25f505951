"""The manual pages: well-formed, and no option or sentence of the code is missing from them."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fusermount_py import client, daemonize
from fusermount_py.admin.command import main as fusermount_py
from fusermount_py.helper import options, protocol, request
from support import machine

SOURCES = sorted((machine.SOURCE / "man").glob("*.md"))
HELPER = machine.SOURCE / "fusermount_py" / "helper"
ADMIN = machine.SOURCE / "fusermount_py" / "admin"
# Tables, pictures and findings, which explain themselves; and what runs inside another program.
ADMIN_SHOWS = {
    "checks_of_helper", "checks_of_machine", "clock", "handshake", "relay", "show", "story",
}  # fmt: skip
SPEAKERS = {"screen.complain", "Failure", "sys.exit", "MountError", "MountTimeout"}
LAUNCHER = machine.SOURCE / "packaging" / "launcher" / "launcher.c"
BLANK = "\0"  # where a sentence has words of the case
# Said to programs, or put together into a sentence that is looked for elsewhere.
NOT_FOR_THE_CALLER = {"audit_trail.py", "mount_entry.py", "protocol.py", "scribe.py"}


def page_of(name: str) -> str:
    return (machine.SOURCE / "man" / f"{name}.md").read_text()


def plain(page: str) -> str:
    """A page's words, without emphasis and line breaks."""
    return " ".join(re.sub(r"\\([-_<>*])", r"\1", page_of(page).replace("*", "")).split())


def refusals(tree: ast.AST) -> set[str]:
    """What is raised, complained of, or handed to those that do so."""
    spoken = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise | ast.Return)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in SPEAKERS)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_REASONS")
    )
    found = {sentence for node in spoken for sentence in sentences(node) if is_said(sentence)}
    return {sentence for sentence in found if re.search("[a-z]{3}", sentence)}


def is_explained(message: str, page: str) -> bool:
    parts = re.split(rf"{BLANK}|\{{\}}", message.strip())
    return bool(re.search(r".{0,60}?".join(map(re.escape, parts)), plain(page)))


def sentences(node: ast.AST) -> Iterator[str]:
    """Every string of a module that somebody could read, with blanks where it is filled in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else BLANK for part in child.values
            ]
            yield "".join(str(part) for part in parts)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif isinstance(child, ast.AnnAssign):
            yield from sentences(child.value or ast.Pass())
        elif not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from sentences(child)


def is_said(sentence: str) -> bool:
    return bool(re.search(r"[a-z'\0] [a-z\0'(]", sentence)) and "\n" not in sentence


MESSAGES = sorted(
    {
        sentence
        for path in HELPER.rglob("*.py")
        if path.name not in NOT_FOR_THE_CALLER
        for sentence in sentences(ast.parse(path.read_text()))
        if is_said(sentence) and "Callable" not in sentence and "tuple[" not in sentence
    }
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_page_is_well_formed_to_both_readers(manual_pages: dict[str, Path], source: Path) -> None:
    """
    Debian reads manual pages by groff, others by mandoc; both show what they do not understand.
    """
    page = manual_pages[source.stem]
    mandoc = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True, check=False
    )
    man = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
        env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "" == mandoc.stdout
    assert "" == man.stderr


def test_there_is_a_page_for_everything_that_is_installed() -> None:
    """
    Policy of most distributions, and of users.
    """
    pages = {
        "fusermount3.1", "fusermount_py.3", "fuse.conf.5", "fusermount-py-news.7",
        "fusermount-py-security.7", "fusermount-py.8",
    }  # fmt: skip
    assert pages == {path.stem for path in SOURCES}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda text: text.replace(BLANK, "_"))
def test_every_sentence_of_the_helper_is_explained(message: str) -> None:
    """
    Users search the manual for what they were told.
    """
    assert is_explained(message, "fusermount3.1")


@pytest.mark.parametrize("module", sorted({path.stem for path in ADMIN.glob("*.py")} - ADMIN_SHOWS))
def test_every_refusal_of_the_command_is_explained(module: str) -> None:
    """
    It says in its own words what is in the way of a helper that has others.
    """
    tree = ast.parse((ADMIN / f"{module}.py").read_text())

    missing = [each for each in refusals(tree) if not is_explained(each, "fusermount-py.8")]
    assert [] == missing


def test_all_that_the_doctor_looks_at_is_named() -> None:
    """
    Who reads the page first knows what need not be looked for by hand.
    """
    looks = {
        str(node.args[0].value)
        for path in ADMIN.glob("checks_of_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Finding"
        and isinstance(node.args[0], ast.Constant)
    }

    assert "helper" in looks
    assert set() == {name for name in looks if f"**{name}**" not in page_of("fusermount-py.8")}


@pytest.mark.parametrize(
    "path", [*sorted((ADMIN.parent / "client").glob("*.py")), ADMIN.parent / "daemonize.py"],
    ids=lambda path: path.stem,
)  # fmt: skip
def test_every_refusal_of_the_modules_for_servers_is_explained(path: Path) -> None:
    """
    Its users see what a server prints of it, and have nothing but these words.
    """
    missing = [
        each
        for each in refusals(ast.parse(path.read_text()))
        if not is_explained(each, "fusermount_py.3")
    ]
    assert [] == missing


@pytest.mark.parametrize("message", re.findall(r'"([a-z() ]+[a-z/]) ?"', LAUNCHER.read_text()))
def test_every_sentence_of_the_launcher_is_explained(message: str) -> None:
    """
    Its sentences are the ones that nobody expects.
    """
    assert " " not in message or message in plain("fusermount3.1")


@pytest.mark.parametrize("name", request.LONG)
def test_every_option_of_the_helper_has_its_entry(name: str) -> None:
    """
    An undocumented option of a setuid program looks like a back door.
    """
    page = page_of("fusermount3.1")

    assert re.search(rf"^(\*\*-\w\*\*.*, )?\*\*\\--{name}\*\*", page, re.MULTILINE)


def test_the_page_promises_no_option_that_is_not_there() -> None:
    """
    A page outlives what it describes, if nobody looks.
    """
    page = page_of("fusermount3.1")
    named = set(re.findall(r"\*\*\\--([a-z-]+)\*\*", page))

    assert named == set(request.LONG)


def test_every_mount_option_and_variable_is_named() -> None:
    """
    What is not on the page is refused as unknown: so users read it.
    """
    page = page_of("fusermount3.1")
    words = {*options.FLAGS, *options._IGNORED_WORDS}  # noqa: SLF001  # the tables are the truth
    values = {*options._KERNEL_VALUES, *options._SELINUX, *options._IGNORED_VALUES}  # noqa: SLF001  # as above
    variables = {
        value for name, value in vars(protocol).items() if "FUSE_" in str(value) and name.isupper()
    }

    assert set() == {word for word in words if f"**{word}**" not in page}
    assert set() == {value for value in values if f"**{value}=**" not in page}
    assert set() == {
        name for name in variables if f"**{name.replace('_FUSE', chr(92) + '_FUSE')}**" not in page
    }
    assert set() == {step for step in protocol.STEPS if f"**{step}**" not in page}


def test_every_verb_of_the_command_has_its_options_in_the_page() -> None:
    """
    --help tells the same, but only to those who have a terminal with the command in it.
    """
    page = plain("fusermount-py.8").partition("# VERBS")[2]
    context = click.Context(fusermount_py)
    missing = []
    for verb in fusermount_py.list_commands(context):
        entry = re.search(rf" {verb} (\[|path|command|: ).*?(?= \w+ \[--|# OPTIONS)", page)
        command = fusermount_py.get_command(context, verb)
        assert entry, verb
        assert command, verb
        missing += [
            f"{verb} {parameter.opts[0]}"
            for parameter in command.params
            if isinstance(parameter, click.Option) and parameter.opts[0] not in entry[0]
        ]

    assert [] == missing


@pytest.mark.parametrize(
    "name",
    [
        *client.__all__,
        *(name for name in vars(client.Prepared) if not name.startswith("_")),
        *(name for name in vars(client.Mounted) if not name.startswith("_")),
        *(
            name
            for name, value in vars(daemonize).items()
            if (getattr(value, "__module__", "") == daemonize.__name__ or name.startswith("NO_"))
            and not name.startswith("_")
        ),
    ],
)
def test_every_name_for_servers_is_in_the_page(name: str) -> None:
    """
    Authors of servers write against what is written down, and so we keep it.
    """
    assert re.search(rf"\b{name}\b", plain("fusermount_py.3"))
