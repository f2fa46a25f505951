"""
Ordinary users, and doing things as one of them.

The users are numbers: nothing of ours looks names up.
"""

import os
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Answer = TypeVar("Answer")
PathLike = str | bytes | os.PathLike[str]


class User(NamedTuple):
    """An ordinary user, or root."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def become(self) -> None:
        """Give up everything else, for good. For a forked child."""
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def call(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """
        What `function` returns or raises when this user calls it.

        FUSE answers only processes whose ids are all the mount owner's, so even root must
        ask like this. The child is forked: the function may be a closure.
        """
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with os.fdopen(writer, "wb") as stream:
                    stream.write(self._answer(function, *arguments))
            finally:
                os._exit(0)  # or the child would go on as a second test run
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            succeeded, answer = pickle.load(stream)  # noqa: S301  # our own child wrote it
        os.waitpid(child, 0)
        if not succeeded:
            raise answer
        return answer  # type: ignore[no-any-return]  # pickle keeps the type, not its name

    def _answer(self, function: Callable[..., Answer], *arguments: object) -> bytes:
        answer: Any
        try:
            self.become()
            answer = (True, function(*arguments))
        except BaseException as error:  # noqa: BLE001  # it is the answer
            answer = (False, error)
        try:
            return pickle.dumps(answer)
        except Exception as error:  # noqa: BLE001  # such as pytest's own exceptions
            return pickle.dumps((False, RuntimeError(f"{answer[1]!r} ({error})")))


CALLER = User(61001, 61001)
ANOTHER_USER = User(61002, 61002)
ROOT = User(0, 0)
