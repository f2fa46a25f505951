"""
What a FUSE mount can be.

    alive      a process holds the device, and it runs or nothing waits for it
    hung       the holders are stopped; or requests wait, and for half a second the holders neither
               ran nor read nor wrote
    starting   requests wait, and nobody holds the device yet, or its holder has not yet written
               anything, an answer to FUSE_INIT included
    dead       nobody holds the device: every access fails with ENOTCONN
    unknown    we may not see the processes or the requests, or the kernel does not say whose
               device is which (before Linux 6.18)
"""

ALIVE = "alive"
DEAD = "dead"
HUNG = "hung"
STARTING = "starting"
UNKNOWN = "unknown"
