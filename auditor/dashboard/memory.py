"""Memory that a server gives back, so that what it holds is what it needs."""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa

# mallopt's names for what is set, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 256 << 10
_ARENAS = 2


def be_frugal() -> None:
    """Have large blocks return to the system as soon as they are free.

    For a process that reads whole columns now and then and draws pictures in many threads:
    each thread's own arena, and a pool that keeps what it had, would hold several times what is
    in use. Does nothing where the C library is not glibc, but for Arrow's pool.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    library = _glibc()
    if library is not None:
        library.mallopt(_ARENA_MAX, _ARENAS)
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_TRIM_THRESHOLD, _LARGE)


def be_fair() -> None:
    """Have threads take turns more often than Python does by itself, every half millisecond.

    A page is drawn in some eighty messages, after each of which its thread waits for its turn:
    beside one that makes a picture, at 5 ms each, for most of half a second.
    """
    sys.setswitchinterval(0.0005)


def settle() -> None:
    """Return what is free, and take what is there for permanent; after something large was read.

    Streamlit collects garbage after every drawing of a page, over all objects that it finds:
    those of the modules and of an open run are some hundred thousand, and a tenth of a second.
    """
    gc.unfreeze()  # what was taken for permanent before may be garbage by now
    gc.collect()
    gc.freeze()
    pa.default_memory_pool().release_unused()
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
