"""What is mounted where, from /proc."""

__all__ = ["find_file_system"]


def find_file_system(fd: int) -> str:
    """The type of the file system that something open is on, as in the third column of /proc/mounts."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
        mount_id = next(line.split()[1] for line in lines if line.startswith("mnt_id:"))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if line.startswith(mount_id + " "):
                return line.partition(" - ")[2].split()[0]
    return "unknown"  # a mount of another namespace, or one that has been detached
