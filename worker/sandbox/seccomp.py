"""The system calls a scaffold may make: an allow-list for Python programs that compute and talk to one socket.

What is not listed fails with EPERM. Wanted: threads, multiprocessing, subprocess, asyncio, sqlite and numpy. Not
wanted: anything that makes namespaces, mounts, loads, traces or looks into other processes, and the parts of the kernel
that have the longest record of holes and no use here (io_uring, bpf, perf, keys, userfaultfd, splicing, SysV IPC,
AF_VSOCK and the other exotic socket families). Only the machine's native ABI is open.

Numbers are those of ``<linux/*.h>`` on x86_64 and aarch64, where they are the same. Names that an architecture or an
older libseccomp does not know are passed over by the runtime.
"""

import errno
import json
from functools import lru_cache
from typing import Any

GROUPS: dict[str, str] = {
    "processes": """
        execve execveat exit exit_group fork vfork wait4 waitid kill tkill tgkill pidfd_open pidfd_send_signal
        getpid getppid gettid getpgid getpgrp getsid setpgid setsid getuid geteuid getgid getegid getgroups
        getresuid getresgid capget prctl arch_prctl set_tid_address set_robust_list get_robust_list rseq membarrier
    """,
    "scheduling and limits": """
        sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
        sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_getattr
        sched_setattr getpriority setpriority getrlimit setrlimit prlimit64 getrusage getcpu get_mempolicy
    """,
    "memory": """
        brk mmap munmap mremap mprotect madvise msync mincore mlock mlock2 munlock mlockall munlockall mseal
    """,
    "signals and waiting": """
        rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo
        rt_tgsigqueueinfo sigaltstack signalfd signalfd4 pause restart_syscall futex futex_waitv futex_wake futex_wait
        futex_requeue eventfd eventfd2 select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait
        epoll_pwait epoll_pwait2
    """,
    "time": """
        clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times alarm getitimer setitimer
        timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime
        timerfd_gettime
    """,
    "files": """
        open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2
        pwritev2 lseek sendfile copy_file_range dup dup2 dup3 fcntl flock pipe pipe2 fsync fdatasync sync_file_range
        syncfs fadvise64 readahead fallocate ftruncate truncate umask inotify_init inotify_init1 inotify_add_watch
        inotify_rm_watch
    """,
    "directories and names": """
        stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 getcwd chdir fchdir getdents
        getdents64 mkdir mkdirat rmdir rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat readlink
        readlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime utimes utimensat
        futimesat getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr
        lremovexattr fremovexattr
    """,
    "sockets": """
        bind listen accept accept4 connect getsockname getpeername getsockopt setsockopt sendto recvfrom sendmsg recvmsg
        sendmmsg recvmmsg shutdown
    """,
    "the machine": "uname sysinfo getrandom",
}

SOCKET_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}

NAMESPACE_FLAGS = 0x7E02_0000
"""CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; clone() can't make time namespaces, the bit is its exit signal's."""

IOCTLS = {
    "TCGETS": 0x5401,
    "TCSETS": 0x5402,
    "TCSETSW": 0x5403,
    "TCSETSF": 0x5404,
    "TIOCSCTTY": 0x540E,
    "TIOCGPGRP": 0x540F,
    "TIOCSPGRP": 0x5410,
    "TIOCGWINSZ": 0x5413,
    "TIOCSWINSZ": 0x5414,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "TIOCNOTTY": 0x5422,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
    "FICLONE": 0x4004_9409,
    "TIOCSPTLCK": 0x4004_5431,
    "TIOCGPTN": 0x8004_5430,
}
"""Terminals, pipes and sockets need these; TIOCSTI, the devices' and the file systems' own are not among them."""

ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")


def profile() -> dict[str, Any]:
    """The profile as the engine takes it (the format of ``docker run --security-opt seccomp=FILE``)."""
    names = sorted(name for group in GROUPS.values() for name in group.split())
    rules = [_allow(names), _refuse(["clone3"], errno.ENOSYS)]
    rules.append(_allow(["clone"], _argument(0, NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ", masked=0)))
    for call in ("socket", "socketpair"):
        rules += [_allow([call], _argument(0, family, "SCMP_CMP_EQ")) for family in SOCKET_FAMILIES.values()]
    rules += [_allow(["ioctl"], _argument(1, number, "SCMP_CMP_EQ")) for number in IOCTLS.values()]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": name, "subArchitectures": []} for name in ARCHITECTURES],
        "syscalls": rules,
    }


@lru_cache
def profile_json() -> str:
    """The profile as one line of JSON."""
    return json.dumps(profile(), separators=(",", ":"))


def _allow(names: list[str], *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _refuse(names: list[str], code: int) -> dict[str, Any]:
    """libc tries an older call where a newer one says ENOSYS; EPERM it would take for an answer."""
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": code, "args": []}


def _argument(index: int, value: int, operator: str, masked: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": masked, "op": operator}
