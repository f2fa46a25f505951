"""
Policy: whether a mount's name can come to lead to a mount of another owner, from the table alone.

A plain unmount has to name its target: a descriptor would keep the mount busy. Between the look and
the deed a name in a held directory can change its meaning in two ways, both the caller's to choose:

    the mount goes     and the one that it covered is on top: all below it must be the owner's own
    the entry moves    a mountpoint cannot be renamed, except from a mount namespace in which it is
                       none: whoever may write to the directories exchanges two that carry mounts

So the neighbours are told: other owners' mounts on the same file system as the directory. Whether
somebody could exchange one of them is then asked of its path (kernel/mountpoint.py).
"""

from fusermount_py.helper.mount_entry import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fusermount_py.helper.mount_entry import Mount, MountEntry

# Types whose names the kernel looks up by itself. Others ask a server, which may be the caller's,
# and while they wait for it the right to unmount would be in force.
LOCAL_TYPES = frozenset(
    {
        "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jffs2", "jfs",
        "msdos", "nilfs2", "ntfs3", "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "ubifs",
        "vfat", "xfs", "zfs",
    }
)  # fmt: skip


def neighbours(
    table: list[bytes], mount: "Mount", directory: int
) -> "list[tuple[MountEntry, int]] | None":
    """
    Mounts of others that could come to stand at the mount's name, with the uids whose they are.

    ``table`` are mountinfo's lines. Whatever has others on it is root's, as they may be.

    ``directory`` is the mount id of the directory that holds the name. None: one of them can for
    certain, since it lies below the mount, or on another mount of the owner's.
    """
    owner = None if mount.owner is None else b",user_id=%d," % mount.owner
    parents: dict[int, int] = {}
    owned = set()
    foreign = []
    # Thousands of lines are looked at, so few are parsed: spaces within a column are escaped, and
    # no comma of another's making can stand in a FUSE mount's options.
    for line in table:
        first, second, rest = line.split(b" ", 2)
        number, parent = int(first), int(second)
        parents[number] = parent
        is_fuse = rest.partition(b" - ")[2].startswith(b"fuse")
        if owner and is_fuse and owner in b",%b," % rest.rpartition(b" ")[2]:
            owned.add(number)
        elif number != mount.id:
            foreign.append((parent, line))
    below = mount.parent
    while below != directory:
        if below not in owned:
            return None  # unknown ones, too
        below = parents[below]
    if any(parent in owned and parent != mount.id for parent, _ in foreign):
        return None
    covered = {parent for parent, _ in foreign} | {parents[number] for number in owned}
    entries = [parse(line) for parent, line in foreign if parent == directory]
    return [(entry, 0 if entry.id in covered else entry.owner or 0) for entry in entries]
