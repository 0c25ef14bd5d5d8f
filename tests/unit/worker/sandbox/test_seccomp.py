"""The profile as a document; what it does is tested in a container."""

import json

import pytest

from worker.sandbox.seccomp import GROUPS, IOCTLS, profile, profile_json

NAMES = [name for group in GROUPS.values() for name in group.split()]

UNWANTED = """
    mount umount2 pivot_root chroot unshare setns clone3 ptrace process_vm_readv process_vm_writev bpf perf_event_open
    io_uring_setup io_uring_enter io_uring_register userfaultfd keyctl add_key request_key init_module finit_module
    kexec_load open_by_handle_at name_to_handle_at fanotify_init memfd_create memfd_secret vmsplice splice tee shmget
    semget msgget mq_open quotactl swapon reboot syslog acct settimeofday setuid setgid setgroups seccomp open_tree
    move_mount fsopen fsmount kcmp pidfd_getfd process_madvise modify_ldt personality remap_file_pages socket ioctl
"""


def test_no_name_stands_twice() -> None:
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", UNWANTED.split())
def test_never_allowed_without_condition(name: str) -> None:
    for rule in profile()["syscalls"]:
        assert name not in rule["names"] or rule["args"] or rule["action"] == "SCMP_ACT_ERRNO"


def test_what_is_not_listed_fails() -> None:
    assert profile()["defaultAction"] == "SCMP_ACT_ERRNO"


def test_no_foreign_abi_is_open() -> None:
    assert all(entry["subArchitectures"] == [] for entry in profile()["archMap"])


def test_no_injection_of_terminal_input() -> None:
    assert 0x5412 not in IOCTLS.values()


def test_it_is_json() -> None:
    assert json.loads(profile_json()) == profile()
