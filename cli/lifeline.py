"""Children that end with their parent, also when it is killed and can't tell them to.

Linux only (`prctl(2)`, PR_SET_PDEATHSIG). Elsewhere the next `millrace up` on the same data folder ends what is left.
"""

import ctypes
import os
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ends_with_parent(signal_number: int) -> Callable[[], None]:
    """A `preexec_fn`: the child gets this signal when the thread that started it ends.

    So start children in the main thread; any other thread that ends would take them along.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork: afterwards a lock may be held for ever
    parent = os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before it could be watched

    return in_child
