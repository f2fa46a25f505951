"""``fusermount-py doctor``: why can't I mount?"""

from collections.abc import Iterator

import click

from fusermount_py.admin import checks_of_helper, checks_of_machine, rehearsal, screen
from fusermount_py.admin.finding import FAILED, OK, WARNING, Finding
from fusermount_py.admin.which_helper import which_helper
from fusermount_py.client.errors import HelperNotFound


@click.command()
@click.argument("mountpoint", required=False)  # no click.Path: that one asks the file system
@click.option("-o", "options", default="", metavar="OPTS", help="Mount options to judge as well.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for programs.")
def doctor(*, mountpoint: str | None, options: str, as_json: bool) -> None:
    r"""
    Find out why this user cannot mount, with a remedy for each reason.

    With a MOUNTPOINT the helper decides about it as it would for a mount, with these options and as
    this user, and says the same words; nothing is mounted.

    \b
    Example:  fusermount-py doctor ~/remote -o allow_other
    """
    if options and mountpoint is None:
        raise click.UsageError("-o needs a mountpoint to judge the options for")
    findings = list(_all(mountpoint, options))
    if as_json:
        screen.print_json([finding.as_json() for finding in findings])
    else:
        _show(findings)
    raise SystemExit(1 if any(finding.status == FAILED for finding in findings) else 0)


def _all(mountpoint: str | None, options: str) -> Iterator[Finding]:
    yield checks_of_machine.device()  # opening it loads a module that is not there yet
    yield checks_of_machine.module()
    yield from checks_of_helper.helper()
    yield from checks_of_helper.process()
    yield checks_of_machine.kernel()
    yield from checks_of_machine.configuration()
    yield checks_of_machine.control()
    if mountpoint is not None:
        yield from _rehearse(mountpoint, options)


def _rehearse(mountpoint: str, options: str) -> Iterator[Finding]:
    """The rules first, then the helper that would really be asked, if it can rehearse."""
    name = f"mount at {mountpoint}"
    by_rules = rehearsal.of_rules(mountpoint, options)
    yield from (Finding(name, WARNING, warning) for warning in by_rules.warnings)
    if by_rules.refusal:
        yield Finding(name, FAILED, by_rules.refusal)
        return
    try:
        by_helper = rehearsal.of_helper(which_helper(), mountpoint, options)
    except HelperNotFound:
        return  # an earlier line has said so
    if not by_helper.knows:
        yield Finding(name, OK, "the rules allow it; this helper itself cannot rehearse")
    elif by_helper.refusal:
        yield Finding(name, FAILED, by_helper.refusal)
    else:
        yield Finding(name, OK, "the helper would mount")


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        status = screen.coloured(finding.status, finding.status.ljust(len(WARNING)))
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        name = screen.printable(finding.name).ljust(width)
        click.echo(f"{status}  {name}  {screen.printable(finding.found)}{remedy}")
