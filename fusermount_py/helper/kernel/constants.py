"""
Numbers of the kernel, in the spelling of its headers (include/uapi/linux), sorted by name.

The system call numbers are those of every architecture's table since 2019 (kernel.md).
"""

# linux/fcntl.h
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100
AT_STATX_DONT_SYNC = 0x4000

# linux/mount.h: fsopen, fsconfig, fsmount, move_mount
FSCONFIG_CMD_CREATE = 6
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_STRING_MAX = 255  # fs/fsopen.c: strndup_user(_value, 256), measured: 256 bytes are EINVAL
FSMOUNT_CLOEXEC = 0x1
FSOPEN_CLOEXEC = 0x1
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NOSYMFOLLOW = 0x200000
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_STRICTATIME = 0x20
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

# linux/mount.h: mount(2)
MS_DIRSYNC = 0x80
MS_LAZYTIME = 0x2000000
MS_NOATIME = 0x400
MS_NODEV = 0x4
MS_NODIRATIME = 0x800
MS_NOEXEC = 0x8
MS_NOSUID = 0x2
MS_NOSYMFOLLOW = 0x100
MS_RDONLY = 0x1
MS_RELATIME = 0x200000
MS_STRICTATIME = 0x1000000
MS_SYNCHRONOUS = 0x10

# sys/mount.h: umount2
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

# linux/stat.h
STATX_MNT_ID_UNIQUE = 0x4000

# asm/unistd.h
SYS_FSCONFIG = 431
SYS_FSMOUNT = 432
SYS_FSOPEN = 430
SYS_MOVE_MOUNT = 429
