"""
Entry: what is answered without mounting. The one source of these words: the front is built from it.

A FUSE library asks all of it before each of its mounts, so the front (packaging/launcher/answers.h)
answers by itself. This is for a helper that has no front.
"""

from fusermount_py.helper.request import Features, Help, Version

VERSION = "fusermount3 version: 3.19.0\n"  # whose interface this is; callers compare it
# Behind the name that the program was called by. Libfuse looks for "--features" between blanks.
USAGE = """\
: [options] mountpoint
Options:
 -h, --help             print help
 -V, --version          print version
 --features             print what this program can, as 16 hexadecimal digits
 --features=text        print the same by name
 -o, --options OPT,...  mount options
 -u, --unmount          unmount
 -q, --quiet            with -u: say nothing on failure
 -z, --lazy             with -u: detach now, clean up when no longer in use
     --sync-init        pass the device, wait for the proceed byte, then mount
     --auto-unmount     unmount what is mounted here when its server dies
     --comm-fd FD       the comm socket, instead of _FUSE_COMMFD
"""
# libfuse's names, from bit 0 on. Where the kernel has no fsopen none of them is told, and a library
# mounts in the classic way.
FEATURES = ("FUSERMOUNT_FEATURE_NEW_MOUNT_API", "FUSERMOUNT_FEATURE_SYNC_INIT")


def mask(features: tuple[str, ...]) -> str:
    """A line of 16 digits, the most significant first."""
    return f"{sum(1 << FEATURES.index(name) for name in features):016x}\n"


def names(features: tuple[str, ...]) -> str:
    """A line of names."""
    return " ".join(features) + "\n"


def answer(question: Help | Version | Features, name: str) -> tuple[int, str]:
    """Exit status and words for stdout; ``name`` is argv[0] as the caller gave it."""
    if isinstance(question, Help):
        return 1, name + USAGE
    if isinstance(question, Version):
        return 0, VERSION
    from fusermount_py.helper.kernel.syscalls import has_fsopen

    features = FEATURES if has_fsopen() else ()
    return 0, (names if question.as_text else mask)(features)
