"""What `trace` tells: each event of a relay in the words of the protocol, as it comes."""

import os
import shlex

import click

from fusermount_py.admin import screen, selection
from fusermount_py.helper import protocol
from fusermount_py.helper.kernel import mount_table


class Story:
    """Tells the events as they come, or all of them as JSON in the end."""

    def __init__(self, start: float, *, as_json: bool) -> None:
        self._start = start
        self._as_json = as_json
        self._events: list[dict[str, object]] = []
        self._requests: dict[object, list[str]] = {}

    def tell(self, event: dict[str, object]) -> None:
        """One event, on stderr: stdout is the traced program's."""
        event["milliseconds"] = round(1000 * (float(str(event.pop("at"))) - self._start), 1)
        self._events.append(event)
        if not self._as_json:
            for line in self._lines(event):
                moment, pid = event["milliseconds"], event["pid"]
                click.echo(f"{moment:>9} ms  [{pid}] {screen.printable(line)}", err=True)

    def end(self, status: int) -> None:
        """The command has ended with this status."""
        if self._as_json:
            screen.print_json({"status": status, "events": self._events})
        elif not self._events:
            screen.complain(
                "it called no helper by PATH; one that uses the full path, as libfuse does,"
                " is caught by root with --private"
            )

    def _lines(self, event: dict[str, object]) -> list[str]:
        kind, who = event["event"], event.get("who")
        if kind == "call":
            words = [str(word) for word in event["arguments"]]  # type: ignore[attr-defined]
            self._requests[event["pid"]] = words
            comm = (
                f"with a comm socket, {event['comm']}" if event["comm"] else "without a comm socket"
            )
            return [f"program calls: {shlex.join(words)}", f"  {comm}"]
        if kind == "message":
            payload = bytes.fromhex(str(event["payload"]))
            return [f"{who} sends {_meaning(str(who), payload, event['descriptors'])}"]
        if kind == "stderr":
            return [f"helper says: {line}" for line in str(event["text"]).splitlines()]
        if kind == "exit":
            asked = self._requests.get(event["pid"], [])[1:]
            answered = " (as it does for --help)" if asked == ["--help"] else ""
            return [f"helper ends with status {event['status']}{answered}", *self._mounted(event)]
        if kind == "undelivered":
            return [f"  it does not arrive: {event['reason']}"]
        return [f"{who} has closed its end"]

    def _mounted(self, event: dict[str, object]) -> list[str]:
        """What the mount table shows at the path that was asked for."""
        paths = {selection.normal(word) for word in self._requests.get(event["pid"], ())[1:]}
        return [
            f"  the kernel shows: {entry.mountpoint} {entry.fstype} {entry.source}"
            f" {entry.attributes} {entry.options}"
            for entry in mount_table.entries()
            if entry.is_fuse and entry.mountpoint in paths
        ]


def _meaning(who: str, payload: bytes, descriptors: object) -> str:
    if descriptors:
        return f"{len(payload)} byte and the device: {descriptors}"
    if who == "program":
        return "proceed"
    if payload[:1] == b"{":
        return f"its report: {os.fsdecode(payload).rstrip()}"
    try:
        number = protocol.decode_status(payload)
    except ValueError:
        return f"{payload!r}"
    return "status 0: mounted" if number == 0 else f"status -{number}: {os.strerror(number)}"
