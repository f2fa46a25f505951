"""
For people: ``fusermount-py``, which says what FUSE is doing on this machine, and never blocks.

    facts     mount_table, connections, processes, device_holders, helper_processes, guards,
              sockets, which_helper: read with a clock (patience), never asked of a server; aside:
              asking one that may be dead
    views     fuse_mount: one FUSE mount with everything known of it; handshake: one helper at work
    verbs     mounts pending unmount abort reap doctor demo trace      one module each
    surface   command (the click group), screen (tables, JSON, colours), selection (which mounts)

A mountpoint is a name in the mount table here: never opened or resolved to learn something, since
the server behind it may be hung. What cannot be known is None here, and shown as unknown.
"""
