"""Python as bench and modelkit would find it on macOS or Windows, as far as that can be pretended on Linux.

Python imports this file at its start if its folder is in PYTHONPATH; ELSEWHERE is `darwin` or `win32`. For
our own modules, and for no others, it hides what that system does not have: modules cannot be imported,
attributes are missing, and files of /proc and /sys are not there. What is hidden is what "Availability" says
in Python's documentation. The libraries and the kernel below are those of Linux all the same.
"""

import builtins
import os
import platform
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

SYSTEM = os.environ.get("ELSEWHERE", "")
OURS = ("bench", "modelkit")
NAMES = {"darwin": "Darwin", "win32": "Windows"}
KERNELS_FILES = ("/proc", "/sys")

MODULES = {
    "darwin": {"spwd", "ossaudiodev"},
    "win32": {
        *(
            "crypt",
            "curses",
            "fcntl",
            "grp",
            "nis",
            "ossaudiodev",
            "posix",
            "pty",
            "pwd",
            "readline",
            "resource",
        ),
        *("spwd", "syslog", "termios", "tty", "uvloop"),
    },
}
OF_LINUX = {
    "os": """sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
        sched_setscheduler sched_rr_get_interval sched_param eventfd eventfd_read
        eventfd_write EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE memfd_create MFD_CLOEXEC
        pidfd_open P_PIDFD splice copy_file_range posix_fadvise posix_fallocate getrandom
        getxattr setxattr listxattr removexattr fdatasync pipe2 getresuid getresgid
        setresuid setresgid O_DIRECT O_TMPFILE O_PATH O_NOATIME O_LARGEFILE O_RSYNC
        SCHED_BATCH SCHED_IDLE unshare setns timerfd_create timerfd_settime""",
    "signal": "SIGRTMIN SIGRTMAX SIGPWR SIGSTKFLT SIGPOLL SIGCLD sigtimedwait sigwaitinfo pidfd_send_signal",
    "socket": """AF_NETLINK AF_PACKET AF_ALG AF_CAN AF_TIPC AF_QIPCRTR SO_BINDTODEVICE SO_INCOMING_CPU
        SO_DOMAIN SO_PROTOCOL SO_PASSCRED SO_PEERCRED SO_MARK SO_PRIORITY SOCK_NONBLOCK
        SOCK_CLOEXEC TCP_QUICKACK TCP_USER_TIMEOUT TCP_DEFER_ACCEPT TCP_CORK TCP_LINGER2
        TCP_SYNCNT TCP_WINDOW_CLAMP TCP_INFO""",
    "select": "epoll EPOLLIN EPOLLOUT EPOLLET EPOLLERR EPOLLHUP EPOLL_CLOEXEC",
    "time": "CLOCK_BOOTTIME CLOCK_TAI",
}
OF_UNIX = {
    "os": """fork forkpty getuid geteuid getgid getegid getgroups getgrouplist setgroups getpgid getpgrp
        getsid getpriority setpriority setuid setgid seteuid setegid setreuid setregid
        killpg nice mkfifo mknod openpty pathconf fpathconf posix_spawn posix_spawnp pread
        pwrite preadv pwritev readv writev sendfile setsid setpgid statvfs fstatvfs sysconf
        sysconf_names confstr uname wait wait3 wait4 waitid WNOHANG WIFEXITED WEXITSTATUS
        WIFSIGNALED WTERMSIG getloadavg ctermid tcgetpgrp tcsetpgrp ttyname lockf O_NONBLOCK
        O_NOFOLLOW O_DIRECTORY O_CLOEXEC O_SYNC O_DSYNC O_NOCTTY O_ACCMODE chown fchown
        lchown chroot fchmod sync fchdir major minor makedev register_at_fork initgroups
        sched_yield sched_get_priority_max get_blocking set_blocking EX_OK EX_USAGE""",
    "signal": """SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGVTALRM SIGPROF SIGIO SIGPIPE SIGCHLD
        SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGWINCH SIGTRAP SIGBUS SIGSYS SIGURG
        SIGXCPU SIGXFSZ alarm pause setitimer getitimer siginterrupt sigpending pthread_kill
        pthread_sigmask sigwait ITIMER_REAL""",
    "socket": "AF_UNIX SO_REUSEPORT send_fds recv_fds sethostname MSG_DONTWAIT MSG_NOSIGNAL",
    "select": "poll POLLIN POLLOUT kqueue",
    "time": """clock_gettime clock_gettime_ns clock_settime clock_getres CLOCK_MONOTONIC
        CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME CLOCK_THREAD_CPUTIME_ID
        tzset pthread_getcpuclockid""",
}


class Elsewhere(ModuleType):
    """A module of the standard library without what that system does not have."""

    def __init__(self, real: ModuleType, hidden: frozenset[str], told: dict[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(_real=real, _hidden=hidden, **told)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_hidden"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)


def hidden(module: str) -> frozenset[str]:
    """The names that a module lacks there."""
    texts = [OF_LINUX.get(module, ""), OF_UNIX.get(module, "") if SYSTEM == "win32" else ""]
    return frozenset(" ".join(texts).split())


def is_ours(names: dict[str, Any] | None) -> bool:
    """Whether a module with these globals is bench's or modelkit's."""
    package = (names or {}).get("__package__") or (names or {}).get("__name__") or ""
    return package.partition(".")[0] in OURS


def install() -> None:
    """Hide all that from now on."""
    told: dict[str, dict[str, Any]] = {
        "sys": {"platform": SYSTEM},
        "os": {"name": "nt" if SYSTEM == "win32" else "posix"},
        "platform": {
            "system": lambda: NAMES[SYSTEM],
            "release": lambda: "0",
            "libc_ver": lambda *_, **__: ("", ""),
        },
    }
    made: dict[str, ModuleType] = {}
    real_import = builtins.__import__

    def import_there(name: str, *others: Any, **named: Any) -> Any:
        found = None
        names, level = others[0] if others else None, others[3] if len(others) > 3 else 0
        if not level and is_ours(names):
            if name.partition(".")[0] in MODULES[SYSTEM]:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in told or name in OF_LINUX:
                if name not in made:
                    real = real_import(name)
                    made[name] = Elsewhere(real, hidden(name), told.get(name, {}))
                found = made[name]
        return found or real_import(name, *others, **named)

    builtins.__import__ = import_there
    sys.addaudithook(refuse_files_of_the_kernel)


def refuse_files_of_the_kernel(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise FileNotFoundError if one of our modules opens or lists what only Linux has."""
    if event not in ("open", "os.listdir", "os.scandir") or not isinstance(arguments[0], (str, Path)):
        return
    path = str(arguments[0])
    if path.startswith(KERNELS_FILES) and is_ours(caller(sys._getframe(1))):
        # what a pattern is looked for in is asked for before with a stat, which no hook sees
        kind = PermissionError if event == "os.scandir" else FileNotFoundError
        raise kind(2, "No such file or directory", path)


def caller(frame: FrameType | None) -> dict[str, Any] | None:
    """The globals of the first frame that is not of Python's own wrappers of files."""
    while frame is not None and frame.f_globals.get("__name__") in (
        "pathlib",
        "io",
        "codecs",
        "os",
        __name__,
    ):
        frame = frame.f_back
    return frame.f_globals if frame else None


if SYSTEM in NAMES:
    platform.libc_ver()  # what it reads is imported by now
    install()
